/** What becomes of a record between the database and its topic: transforms, converters, lists of tables and columns. */
import { matchesAny, parseExpressions, passes } from '../../change/debezium/name-filter.ts'
import type { RunningConnector } from '../connector/connect-api.ts'
import type { Finding } from './finding.ts'
import { enumerate } from './names.ts'
import { byTable, type Requirement } from './requirements.ts'

const RENAMING = /Router|RenameTopic|SetTopic/
const UNWRAPPING = /ExtractNewRecordState|ExtractChangedRecordState|EventRouter|Flatten|ExtractField|HoistField/

export function judgeTransforms(name: string, config: RunningConnector['config']): readonly Finding[] {
  const aliases = (config['transforms'] ?? '').split(',').map((alias) => alias.trim())
  return aliases.filter(Boolean).map((alias) => {
    const type = config[`transforms.${alias}.type`] ?? 'of no type'
    const finding = `connector ${name} has the transform ${alias} (${type.split('.').at(-1)})`
    const mend = `Take ${alias} out of transforms; who needs it can have a connector of their own, with a slot of its own.`
    if (UNWRAPPING.test(type))
      return {
        id: 'connector-unwrapped',
        severity: 'error',
        finding,
        consequence:
          'Its records are no change events any more: without old row, operation and LSN consumers can do nothing.',
        mend,
      }
    if (RENAMING.test(type))
      return {
        id: 'connector-renamed-topics',
        severity: 'error',
        finding,
        consequence: 'Records go to other topics than those that the consumers read: they wait for ever.',
        mend,
      }
    return {
      id: 'connector-transform',
      severity: 'warning',
      finding,
      consequence: 'If it changes, drops or moves a record, that change is wrong or missing. We cannot tell.',
      mend,
    }
  })
}

const JSON_CONVERTER = 'org.apache.kafka.connect.json.JsonConverter'

export function judgeConverters(name: string, config: RunningConnector['config'], mend: string): readonly Finding[] {
  return ['key', 'value'].flatMap((side): Finding[] => {
    const converter = config[`${side}.converter`]
    if (converter === undefined)
      return [
        {
          id: 'connector-converter-unknown',
          severity: 'warning',
          finding: `connector ${name} does not set ${side}.converter: the worker's applies, which its API does not show`,
          consequence: `If that is not JsonConverter with replace.null.with.default=false, ${side}s cannot be read, or have defaults in place of NULL.`,
          mend,
        },
      ]
    if (converter !== JSON_CONVERTER)
      return [
        {
          id: 'connector-converter',
          severity: 'error',
          finding: `connector ${name} has ${side}.converter=${converter}`,
          consequence: 'The consumers read JSON: every record is set aside as unreadable.',
          mend,
        },
      ]
    const property = `${side}.converter.replace.null.with.default`
    if (config[property] === 'false') return []
    return [
      {
        id: 'connector-null-default',
        severity: side === 'value' ? 'error' : 'warning',
        finding: `connector ${name} does not set ${property} to false`,
        consequence: 'A NULL in a column that has a default arrives as that default, and is cached so (L5).',
        mend: `${mend}, or set ${property}=false`,
      },
    ]
  })
}

/** Include and exclude lists, masks: whether every table and column that is needed comes through as it is. */
export function judgeLists(
  name: string,
  config: RunningConnector['config'],
  requirements: readonly Requirement[],
  mend: string,
): readonly Finding[] {
  const lists = (kind: string) => ({
    include: expressions(config[`${kind}.include.list`]),
    exclude: expressions(config[`${kind}.exclude.list`]),
  })
  let filters: Record<'schema' | 'table' | 'column', ReturnType<typeof lists>>
  let masks: readonly RegExp[]
  try {
    filters = { schema: lists('schema'), table: lists('table'), column: lists('column') }
    masks = Object.entries(config).flatMap(([property, value]) =>
      /^column\.(mask|truncate)\./.test(property) ? parseExpressions(value) : [],
    )
  } catch {
    return [
      {
        id: 'connector-lists',
        severity: 'warning',
        finding: `connector ${name} has an expression in its lists of tables or columns that we cannot read`,
        consequence: 'Whether it captures every table and column that is needed is not known.',
        mend,
      },
    ]
  }
  return [...byTable(requirements)].flatMap(([table, uses]): Finding[] => {
    const schema = table.slice(0, table.indexOf('.'))
    if (!passes(filters.schema, schema) || !passes(filters.table, table))
      return [
        {
          id: 'connector-lacks-table',
          severity: 'error',
          finding: `connector ${name} does not capture ${table} (${enumerate(uses.map((use) => use.by))})`,
          consequence: 'Its changes never arrive: what is cached of it goes stale and stays so.',
          mend,
        },
      ]
    const needed = [...new Set(uses.flatMap((use) => [...use.columns, ...use.keyColumns]))]
    const spoilt = needed.filter((column) => {
      const full = `${table}.${column}`
      return !passes(filters.column, full) || matchesAny(masks, full)
    })
    if (spoilt.length === 0) return []
    return [
      {
        id: 'connector-lacks-columns',
        severity: 'error',
        finding: `connector ${name} leaves out or masks ${enumerate(spoilt)} of ${table}`,
        consequence: 'No change is a whole row for views and events that need them.',
        mend: `Take them out of column.include.list, column.exclude.list, column.mask.* and column.truncate.*, or: ${mend}`,
      },
    ]
  })
}

function expressions(list: string | undefined): readonly RegExp[] | null {
  return list === undefined || list === '' ? null : parseExpressions(list)
}
