import { TrackOpsError } from '../runtime/errors.ts'
import type { CompiledView } from './compiled-view.ts'
import type { Row } from './view.ts'

/**
 * What a view makes of a row, as JSON text without a version; null: this row has no entry. Change events and database reads
 * both come through here, so that both give the same text.
 *
 * @throws TrackOpsError VIEW_FAILED, without the row's values
 */
export function documentText(view: CompiledView, row: Row): string | null {
  let document: unknown
  let text: string | undefined
  try {
    document = view.view.document ? view.view.document(row) : row
    if (document === null) return null
    text = JSON.stringify(document)
  } catch (error) {
    // The cause's message is the application's own and may quote the row: its name has to do.
    const reason = error instanceof Error ? error.name : typeof error
    throw new TrackOpsError('VIEW_FAILED', `the function of view ${view.name} threw ${reason}`, {
      details: { view: view.name, reason },
    })
  }
  if (typeof document !== 'object' || Array.isArray(document) || text === undefined || !text.startsWith('{')) {
    throw new TrackOpsError(
      'VIEW_FAILED',
      `the function of view ${view.name} gave something other than an object or null`,
      {
        details: { view: view.name },
      },
    )
  }
  for (const name in document) {
    if (name.startsWith('_')) {
      throw new TrackOpsError(
        'VIEW_FAILED',
        `view ${view.name} gives a member ${name}: names that begin with _ are TrackOps's own`,
        {
          details: { view: view.name },
        },
      )
    }
  }
  return text
}
