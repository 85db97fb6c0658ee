import type { Violation } from './checker.ts'
import type { HistoryRecord } from './record.ts'

/** The few lines that prove it, for a person: when, counted from the first of them, who, what. */
export function tellStory({ rule, subject, story }: Violation): string {
  const beganUs = Math.min(...story.map(({ invokedUs }) => invokedUs))
  const lines = story.map((record) => {
    const from = ((record.invokedUs - beganUs) / 1000).toFixed(3).padStart(12)
    const to = ((record.completedUs - beganUs) / 1000).toFixed(3).padStart(12)
    return `  ${from} ${to} ms  ${whatOf(record)}`
  })
  return [`${rule}: ${subject}`, ...lines].join('\n')
}

function whatOf(record: HistoryRecord): string {
  switch (record.op) {
    case 'write':
      return `write  ${record.door.padEnd(4)}  made ${record.at ?? 'what nobody knows'}${record.outcome === 'ok' ? '' : ', outcome unknown'}`
    case 'read':
      return `read   ${record.door.padEnd(4)}  ${record.key} was ${record.at}${record.source === undefined ? '' : ` (${record.source})`}${record.token === undefined ? '' : `, with the token of ${record.token}`}`
    case 'processed':
      return 'consumers had processed all that was written before'
    case 'truth':
      return `at rest the database holds ${record.at}`
    case 'fault':
      return `fault ${record.name}: ${record.phase}`
    case 'deleting':
      return 'somebody begins to delete it'
    case 'retired':
      return 'nobody asks for it any more'
    case 'shared':
      return 'others write this row too'
    case 'effect':
      return `${record.effect} happened ${record.happened} times, expected ${record.expected}`
  }
}
