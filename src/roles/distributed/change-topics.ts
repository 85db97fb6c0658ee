import { sanitizeTopic } from '../../change/debezium/topic.ts'
import { parseDebeziumOptions } from '../../change/debezium/options.ts'
import type { DebeziumModes } from '../../change/debezium/decode/modes.ts'
import { connectorConfiguration } from '../connector/connector-configuration.ts'
import { topicPrefixOf } from '../connector/connector-properties.ts'
import type { TrackOpsConfig } from '../define-config.ts'

export interface ChangeTopic {
  readonly topic: string
  /** `schema.table` */
  readonly table: string
}

/** The connector's topics of these tables. */
export function changeTopics(config: TrackOpsConfig, tables: readonly string[]): readonly ChangeTopic[] {
  const prefix = topicPrefixOf(config.source)
  return [...new Set(tables)].map((table) => ({ topic: sanitizeTopic(`${prefix}.${table}`), table }))
}

export function tablesOfViews(views: TrackOpsConfig['views']): readonly string[] {
  return views.flatMap((view) => (view.kind === 'query' ? view.dependsOn.map(({ table }) => table) : [view.table]))
}

const SAYS_HOW_VALUES_ARE_WRITTEN =
  /^(?!event\.).*\.handling\.mode$|^time\.precision\.mode$|^unavailable\.value\.placeholder$/

/** How our own connector writes values, where its records bring no schema; preflight compares a running one with it. */
export function connectorModes(config: TrackOpsConfig, databaseUrl: string): DebeziumModes {
  const properties = Object.entries(connectorConfiguration(config, { databaseUrl }).config)
  const pairs = properties.filter(([name]) => SAYS_HOW_VALUES_ARE_WRITTEN.test(name)).map((pair) => pair.join('='))
  return parseDebeziumOptions(pairs, { topicPrefix: topicPrefixOf(config.source) })
}
