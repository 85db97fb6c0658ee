/**
 * Tables in the documentation that the code knows better. With TRACKOPS_UPDATE_DOCS=1 this test writes them instead of comparing.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { COMMANDS } from '../../src/cli/commands.ts'
import { connectorConfiguration, PASSWORD_REFERENCE } from '../../src/roles/connector/connector-configuration.ts'
import { CONNECTOR_PROPERTIES } from '../../src/roles/connector/connector-properties.ts'
import { createMetrics } from '../../src/roles/metrics.ts'
import { ERRORS } from '../../src/runtime/errors.ts'
import { SETTINGS } from '../../src/runtime/settings.ts'
import config from '../../trackops.config.ts'
import { readPage, ROOT } from './page.ts'

const IS_UPDATE = process.env['TRACKOPS_UPDATE_DOCS'] === '1'

test('docs/operations.md has every error with what mends it', () => {
  const rows = Object.entries(ERRORS).map(([code, { retry, mend }]) => [`\`${code}\``, retry, mend])
  assertGenerated('docs/operations.md', 'errors', table(['code', 'again', 'what to do'], rows))
})

test('docs/operations.md has every metric', async () => {
  const metrics = createMetrics({ pipeline: () => null, deadLetters: () => 0, slotRetainedBytes: () => 0 })
  const all = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('cdc_'))
  assert.ok(all.length > 5)
  const rows = all.map(({ name, type, help }) => {
    const metric = metrics.registry.getSingleMetric(name) as unknown as { labelNames?: readonly string[] }
    return [`\`${name}\``, String(type), (metric.labelNames ?? []).join(', '), help]
  })
  assertGenerated('docs/operations.md', 'metrics', table(['metric', 'type', 'labels', 'what'], rows))
})

test('docs/configuration.md has every environment variable', () => {
  const rows = Object.values(SETTINGS).map((setting) => [
    'isSecret' in setting ? `\`${setting.variable}\`, \`${setting.variable}_FILE\`` : `\`${setting.variable}\``,
    setting.default === undefined ? '' : `\`${setting.default}\``,
    setting.expected,
    setting.doc,
  ])
  assertGenerated('docs/configuration.md', 'settings', table(['variable', 'default', 'expected', 'what'], rows))
})

test('docs/connector.md has every property of the connector with its reason', () => {
  const databaseUrl = 'postgres://trackops_capture@db.example:5432/trackops_orders?sslmode=verify-full'
  const { config: values } = connectorConfiguration(config, { databaseUrl, passwordReference: PASSWORD_REFERENCE })
  const rows = CONNECTOR_PROPERTIES.map(({ name, why }) => [
    `\`${name}\``,
    values[name] === undefined ? '' : `\`${values[name]}\``,
    why,
  ])
  assertGenerated('docs/connector.md', 'connector', table(['property', 'value', 'why'], rows))
})

test('README.md has every command', () => {
  const lines = COMMANDS.map(({ usage, summary }) => [`trackops ${usage}`, summary] as const)
  const width = Math.max(...lines.map(([usage]) => usage.length))
  const text = lines.map(([usage, summary]) => `    ${usage.padEnd(width)}   ${summary}`).join('\n')
  assertGenerated('README.md', 'commands', `\n${text}\n`)
})

function assertGenerated(page: string, name: string, text: string): void {
  const file = join(ROOT, page)
  const begin = `<!-- generated:${name} -->\n`
  const end = '<!-- /generated -->'
  const whole = readPage(page)
  const from = whole.indexOf(begin)
  assert.ok(from >= 0, `${page} has the marker ${begin.trim()}`)
  const to = whole.indexOf(end, from)
  assert.ok(to > from, `${page} ends what follows ${begin.trim()}`)
  if (IS_UPDATE) writeFileSync(file, whole.slice(0, from + begin.length) + text + whole.slice(to))
  const written = readFileSync(file, 'utf8')
  const after = written.slice(written.indexOf(begin) + begin.length)
  assert.equal(
    after.slice(0, after.indexOf(end)),
    text,
    `${page} is not up to date: TRACKOPS_UPDATE_DOCS=1 ./trackops test guides/reference writes it`,
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('')
}
