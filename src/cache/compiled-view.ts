import { TrackOpsError } from '../runtime/errors.ts'
import { codeOf } from './code-version.ts'
import { areAmbiguous, createKeyTemplate, type KeyTemplate, reservedTemplate } from './key-template.ts'
import type { ListView, QueryView, RowView, View } from './view.ts'

/** A view, checked, with what is derived from it once. */
export type CompiledView = CompiledRowView | CompiledListView | CompiledQueryView
export type CompiledRowView = Compiled<RowView, 'row'>
export type CompiledListView = Compiled<ListView, 'list'>
export type CompiledQueryView = Compiled<QueryView, 'query'>

interface Compiled<V extends View, Kind extends View['kind']> {
  readonly kind: Kind
  readonly name: string
  readonly view: V
  readonly template: KeyTemplate
  /** The version of its code: 8 hex digits. */
  readonly code: string
}

export interface CompiledViews {
  readonly keyPrefix: string
  readonly all: readonly CompiledView[]
  /** @throws TrackOpsError CONFIG_INVALID */
  byName(name: string): CompiledView
  /** undefined if the key is of no view. */
  ofKey(key: string): CompiledView | undefined
}

/** @throws TrackOpsError CONFIG_INVALID, saying which view and why */
export function compileViews(
  views: readonly View[],
  options: { readonly keyPrefix?: string | undefined } = {},
): CompiledViews {
  const keyPrefix = options.keyPrefix ?? ''
  const all = views.map((view) => compile(view, keyPrefix))
  const byName = new Map(all.map((view) => [view.name, view]))
  if (byName.size !== all.length) refuse('', 'two views have the same name')
  for (const [index, view] of all.entries()) {
    if (areAmbiguous(view.template, reservedTemplate(`${keyPrefix}trackops:`)))
      refuse(view.name, "its keys could be TrackOps's own, trackops:...")
    for (const other of all.slice(0, index)) {
      if (areAmbiguous(view.template, other.template)) {
        refuse(
          view.name,
          `a key could be of ${view.template.text} and of ${other.template.text}, which is view ${other.name}`,
        )
      }
    }
  }
  return {
    keyPrefix,
    all,
    byName: (name) => byName.get(name) ?? refuse(name, 'there is no such view'),
    ofKey: (key) => all.find((view) => view.template.parse(key) !== undefined),
  }
}

function compile(view: View, keyPrefix: string): CompiledView {
  if (!/^[A-Za-z0-9_.-]+$/.test(view.name))
    refuse(view.name, 'a name is of letters, digits, dots, dashes and underscores')
  if (!(Number.isInteger(view.ttlSeconds) && view.ttlSeconds > 0))
    refuse(view.name, 'ttlSeconds has to be a positive whole number')
  const jitter = view.ttlJitterRatio ?? 0
  if (!(jitter >= 0 && jitter <= 0.5)) refuse(view.name, 'ttlJitterRatio has to be from 0 to 0.5')
  const template = createKeyTemplate(view.key, keyPrefix)
  const derived = { name: view.name, template, code: codeOf(view) }
  if (view.kind === 'query') return { kind: 'query', view, ...derived }
  for (const column of template.parameters) {
    if (!view.columns.includes(column))
      refuse(view.name, `its key names the column ${column}, which is not among its columns`)
  }
  if (view.kind === 'row') return { kind: 'row', view, ...derived }
  if (!view.columns.includes(view.member))
    refuse(view.name, `its member column ${view.member} is not among its columns`)
  return { kind: 'list', view, ...derived }
}

/** Seconds; spread below the declared TTL, never above. */
export function ttlOf(view: View, random: () => number): number {
  const jitter = view.ttlJitterRatio ?? 0
  return jitter === 0 ? view.ttlSeconds : Math.max(1, Math.round(view.ttlSeconds * (1 - jitter * random())))
}

function refuse(name: string, why: string): never {
  throw new TrackOpsError('CONFIG_INVALID', name === '' ? `views: ${why}` : `view ${name}: ${why}`)
}
