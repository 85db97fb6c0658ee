/** What one look finds, and what becomes of it at the next. */
import type { Sql } from 'postgres'

import { toLsn } from '../../change/lsn.ts'
import { type CheckedKey, checkKeys } from '../check-keys.ts'
import { firstSuspicion, isProven, stillSuspect, type Suspect } from '../suspect.ts'
import type { VerifyDeps } from '../verify.ts'
import { type Absence, findAbsences, isMissing } from './absences.ts'
import { createHeldKeys, type Held, sinceMs } from './held.ts'
import type { SampledKeys } from './key-sources.ts'
import { createMoments, readMoment } from './moments.ts'
import { nameViolation, type ViolationKind } from './name-violation.ts'
import { createWatchTally, type WatchReport } from './watch-report.ts'

export interface RoundsDeps extends VerifyDeps {
  readonly sql: Sql
}

const MAX_LOOKS_AGAIN = 500
const MOMENTS_APART_MS = 1_000
/** Beyond every position: for what depends on it no more. */
const FAR = toLsn(2n ** 62n)

export interface Rounds {
  look(sampled: SampledKeys): Promise<void>
  lookAgain(): Promise<void>
  report(interruptedBy: string | null): WatchReport
}

export function createRounds(deps: RoundsDeps): Rounds {
  const tally = createWatchTally()
  const held = createHeldKeys()
  const moments = createMoments()
  let notedAtMs = -Infinity

  function hold(one: Held): void {
    if (!held.put(one)) tally.unfollowed()
  }

  function violated(one: Held, kind: ViolationKind, isNew: boolean): void {
    const { view, key } = one.what === 'absence' ? one.absence : one.suspect
    const difference = one.what === 'absence' ? 'missing' : one.suspect.difference
    tally.violated({ key, view: view.name, kind, difference }, isNew)
  }

  async function noteMoment(): Promise<void> {
    if (performance.now() - notedAtMs < MOMENTS_APART_MS) return
    const moment = await readMoment(deps, deps.views)
    notedAtMs = moment.atMs
    moments.note(moment)
  }

  function noteLook(checked: CheckedKey): void {
    const { verdict, key } = checked
    tally.checked(verdict.kind)
    const known = held.get(key)
    if (verdict.kind !== 'different') return
    if (known?.violation) violated(known, known.violation, false)
    if (known?.what === 'difference') return
    hold({
      what: 'difference',
      suspect: firstSuspicion(checked, verdict.difference, performance.now()),
      violation: null,
    })
  }

  async function lookAgainAtDifferences(ofView: readonly (Held & { what: 'difference' })[]): Promise<void> {
    const [first] = ofView
    if (!first) return
    const reached = await deps.reached()
    const keys = ofView.map(({ suspect }) => suspect.key)
    const looks = await checkKeys(deps, first.suspect.view, keys)
    for (const [index, one] of ofView.entries()) {
      const look = looks[index]
      const now = look && stillSuspect(one.suspect, look, performance.now())
      if (!now) {
        held.drop(one.suspect.key)
        continue
      }
      const same = unchanged(one.suspect, now)
      const isNew = one.violation === null && isProven(one.suspect, now, reached)
      const violation = isNew ? await nameViolation(deps, same) : same.parts.size > 0 ? one.violation : null
      const next: Held = { what: 'difference', suspect: now, violation }
      if (isNew && violation) violated(next, violation, true)
      hold(next)
    }
  }

  async function lookAgainAtAbsences(ofView: readonly (Held & { what: 'absence' })[]): Promise<void> {
    const [first] = ofView
    if (!first) return
    const reached = await deps.reached()
    const keys = ofView.map(({ absence }) => absence.key)
    const found = new Map(
      (await findAbsences(deps, first.absence.view, keys, performance.now())).map((one) => [one.key, one]),
    )
    const now = await readMoment(deps, deps.views)
    const nowMs = performance.now()
    for (const one of ofView) {
      const again = found.get(one.absence.key)
      const isSame = again?.xid === one.absence.xid
      // Expired, evicted or forgotten meanwhile: nothing can be said about it any more.
      const isProvable = isSame && isMissing(one.absence, again, { reached: FAR, moments, now, nowMs })
      if (!again || (isSame && !isProvable)) {
        held.drop(one.absence.key)
        continue
      }
      const isNew = one.violation === null && isMissing(one.absence, again, { reached, moments, now, nowMs })
      const absence: Absence = isSame ? one.absence : again
      const next: Held = { what: 'absence', absence, violation: isNew ? 'missing' : isSame ? one.violation : null }
      if (isNew) violated(next, 'missing', true)
      hold(next)
    }
  }

  return {
    async look({ view, keys, xids }) {
      const unseen: string[] = []
      for (const checked of await checkKeys(deps, view, keys)) {
        if (checked.verdict.kind !== 'not-cached') noteLook(checked)
        else unseen.push(checked.key)
      }
      if (view.kind !== 'row' || view.view.warm !== 'all') return
      // Only of a row that changed while we watched can it be said that its entry has to be there still.
      const due = unseen.filter((key) => {
        const xid = xids?.get(key)
        return xid !== undefined && moments.lastBefore(xid) !== undefined
      })
      for (const key of due) {
        tally.checked('missing')
        const known = held.get(key)
        if (known?.what === 'absence' && known.violation) violated(known, known.violation, false)
      }
      const unknown = due.filter((key) => !held.get(key))
      if (unknown.length === 0) return
      for (const absence of await findAbsences(deps, view, unknown, performance.now()))
        hold({ what: 'absence', absence, violation: null })
    },

    async lookAgain() {
      await noteMoment()
      const due = held.take(MAX_LOOKS_AGAIN)
      const differences = due.filter((one) => one.what === 'difference')
      for (const [, ofView] of Map.groupBy(differences, ({ suspect }) => suspect.view))
        await lookAgainAtDifferences(ofView)
      const absences = due.filter((one) => one.what === 'absence')
      for (const [, ofView] of Map.groupBy(absences, ({ absence }) => absence.view)) await lookAgainAtAbsences(ofView)
    },

    report(interruptedBy) {
      let standingKeys = 0
      let oldestMs = Infinity
      for (const one of held.all()) {
        if (one.violation) standingKeys++
        oldestMs = Math.min(oldestMs, sinceMs(one))
      }
      return tally.report({
        inFlightKeys: held.size - standingKeys,
        standingKeys,
        oldestDifferenceSeconds: held.size === 0 ? null : Math.max(0, performance.now() - oldestMs) / 1000,
        interruptedBy,
      })
    },
  }
}

/** Of what differs only what has been there since the look before. */
function unchanged(before: Suspect, now: Suspect): Suspect {
  const same = Array.from(now.parts).filter(([member, { digest }]) => before.parts.get(member)?.digest === digest)
  return { ...now, parts: new Map(same) }
}
