/** A disk of a few megabytes for a server's files, which can be full. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export type SmallDisk = { readonly unmount: () => void } | { readonly refused: string }

/** The directory becomes a disk of its own, of that size. Gives why that is not possible here, if it is not. */
export function mountSmallDisk(directory: string, size: string): SmallDisk {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'trackops-test', directory], { stdio: 'pipe' })
  } catch (error) {
    return { refused: `no disk of its own may be mounted: ${error instanceof Error ? error.message.trim() : ''}` }
  }
  return { unmount: () => execFileSync('umount', [directory]) }
}

/** Takes all the room that there is. Gives what makes room again. */
export function fillDisk(directory: string): () => void {
  const ballast = join(directory, 'ballast')
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      appendFileSync(ballast, Buffer.alloc(bytes))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      bytes >>= 1
    }
  }
  return () => rmSync(ballast)
}
