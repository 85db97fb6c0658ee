import { createSnapshotMarkers, type MarkedRow } from '../capture/snapshot-markers.ts'
import type { SnapshotRead, StreamItem } from '../change/change-event.ts'
import { qualifiedName } from '../change/relation.ts'

/**
 * `snapshot.include.collection.list`: of the snapshot only the rows of these tables, marked as if there were no others.
 * Everything else goes by untouched.
 *
 * @param tables all tables of the snapshot, `public.orders`, in its order
 */
export async function* selectSnapshot(
  items: AsyncIterable<StreamItem>,
  tables: readonly string[],
  isSelected: (table: string) => boolean,
): AsyncGenerator<StreamItem> {
  const selected = new Map(tables.filter(isSelected).map((table, index) => [table, index]))
  const markers = createSnapshotMarkers<SnapshotRead>()
  for await (const item of items) {
    if (item.kind !== 'snapshot') {
      yield item
      continue
    }
    const marked: (MarkedRow<SnapshotRead> | null)[] = item.changes.map((change) => {
      const index = selected.get(qualifiedName(change.relation))
      return index === undefined ? null : markers.push(index, change)
    })
    if (item.isLast) marked.push(markers.finish())
    yield { ...item, changes: marked.flatMap((one) => (one ? [{ ...one.row, marker: one.marker }] : [])) }
  }
}
