import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Lsn, toLsn } from '../change/lsn.ts'
import { TrackOpsError } from '../runtime/errors.ts'

/**
 * Holds the messages of one large transaction until its end is known: in memory up to a bound, then in a file that has no
 * name, so that nothing is left behind by a crash. Written and read in order, once; in large steps, so synchronously: a step takes
 * about a millisecond, and acks and keep-alives go on between them.
 */
export interface TransactionSpool {
  append(lsn: Lsn, data: Buffer): void
  /** Everything that was appended. The data are views: decode them, don't keep them. */
  read(): Generator<{ readonly lsn: Lsn; readonly data: Buffer }>
  close(): void
}

export interface SpoolOptions {
  /** Default 8 MiB. */
  readonly memoryBytes?: number
  /** Default: the system's directory for temporary files. */
  readonly directory?: string
}

const BLOCK_BYTES = 1024 * 1024
const HEADER_BYTES = 12

export function createTransactionSpool(options: SpoolOptions = {}): TransactionSpool {
  const memoryBytes = options.memoryBytes ?? 8 * 1024 * 1024
  /** Each of whole messages. */
  let blocks: Buffer[] = []
  let heldBytes = 0
  let current = Buffer.allocUnsafe(BLOCK_BYTES)
  let used = 0
  let file: { readonly descriptor: number; bytes: number; readonly blockLengths: number[] } | undefined

  function seal(): void {
    if (used === 0) return
    const block = current.subarray(0, used)
    if (!file && heldBytes + used > memoryBytes) file = openFile(options.directory ?? tmpdir())
    if (file) {
      for (const held of [...blocks, block]) write(held)
      blocks = []
      heldBytes = 0
      used = 0
    } else {
      blocks.push(block)
      heldBytes += used
      current = Buffer.allocUnsafe(BLOCK_BYTES)
      used = 0
    }
  }

  function write(block: Buffer): void {
    if (!file) return
    try {
      for (let at = 0; at < block.length;)
        at += writeSync(file.descriptor, block, at, block.length - at, file.bytes + at)
    } catch (error) {
      throw spoolFailed(error)
    }
    file.bytes += block.length
    file.blockLengths.push(block.length)
  }

  function* blocksInOrder(): Generator<Buffer> {
    if (!file) {
      yield* blocks
      yield current.subarray(0, used)
      return
    }
    let position = 0
    for (const length of file.blockLengths) {
      const block = Buffer.allocUnsafe(length)
      for (let at = 0; at < length;) {
        const count = readSync(file.descriptor, block, at, length - at, position + at)
        if (count === 0) throw spoolFailed(new Error('the file is shorter than what was written'))
        at += count
      }
      position += length
      yield block
    }
    yield current.subarray(0, used)
  }

  return {
    append(lsn, data) {
      const size = HEADER_BYTES + data.length
      if (used + size > current.length) {
        seal()
        // One that is larger than a block gets a block of its own.
        if (size > current.length) current = Buffer.allocUnsafe(size)
      }
      current.writeUInt32BE(data.length, used)
      current.writeBigUInt64BE(lsn, used + 4)
      data.copy(current, used + HEADER_BYTES)
      used += size
    },
    *read() {
      for (const block of blocksInOrder()) {
        for (let at = 0; at < block.length;) {
          const length = block.readUInt32BE(at)
          const lsn = toLsn(block.readBigUInt64BE(at + 4))
          yield { lsn, data: block.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length) }
          at += HEADER_BYTES + length
        }
      }
    },
    close() {
      if (file) closeSync(file.descriptor)
      file = undefined
      blocks = []
      used = 0
    },
  }
}

function openFile(directory: string): { descriptor: number; bytes: number; blockLengths: number[] } {
  const path = join(directory, `trackops-transaction-${randomUUID()}`)
  try {
    const descriptor = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return { descriptor, bytes: 0, blockLengths: [] }
  } catch (error) {
    throw spoolFailed(error)
  }
}

function spoolFailed(error: unknown): TrackOpsError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return new TrackOpsError('SPOOL_FAILED', `a large transaction cannot be held in a temporary file (${code})`, {
    details: { code },
    cause: error,
  })
}
