/** One check for whoever is read: what versions may an answer have, given what was written and answered before? Times in ms of one clock. */
export interface Judge {
  wrote(id: string, version: number, endedAtMs: number): void
  /** Before the read is sent. */
  begin(id: string, nowMs: number): Read
  tally(): Tally
}

export interface Read {
  answered(version: number): void
  failed(): void
}

export interface Tally {
  readonly reads: number
  /** Lower than a version that an earlier read, which had ended before this one began, was answered. */
  readonly wentBack: number
  /** Lower than a version whose write had ended more than the bound before the read began. */
  readonly tooOld: number
  readonly failedReads: number
}

interface Known {
  greatestAnswered: number
  /** In the order in which they ended. */
  readonly writes: { readonly version: number; readonly endedAtMs: number }[]
}

export function createJudge(boundMs: number): Judge {
  const rows = new Map<string, Known>()
  const tally = { reads: 0, wentBack: 0, tooOld: 0, failedReads: 0 }
  const known = (id: string): Known => {
    let row = rows.get(id)
    if (!row) rows.set(id, (row = { greatestAnswered: -1, writes: [] }))
    return row
  }
  return {
    wrote(id, version, endedAtMs) {
      known(id).writes.push({ version, endedAtMs })
    },
    begin(id, nowMs) {
      const row = known(id)
      const floor = row.greatestAnswered
      // What lies below the bound is needed as one number only.
      const recent = row.writes.findIndex(({ endedAtMs }) => endedAtMs >= nowMs - boundMs)
      const old = row.writes.splice(0, recent === -1 ? row.writes.length : recent)
      const due = Math.max(-1, ...old.map(({ version }) => version))
      if (due >= 0) row.writes.unshift({ version: due, endedAtMs: -Infinity })
      return {
        answered(version) {
          tally.reads += 1
          if (version < floor) tally.wentBack += 1
          if (version < due) tally.tooOld += 1
          row.greatestAnswered = Math.max(row.greatestAnswered, version)
        },
        failed() {
          tally.failedReads += 1
        },
      }
    },
    tally: () => ({ ...tally }),
  }
}
