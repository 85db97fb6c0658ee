/** Ports of this machine's loopback interface. */
import { createServer } from 'node:net'

import { TrackOpsError } from '../../runtime/errors.ts'

export const LOOPBACK = '127.0.0.1'

/** Throws PORT_TAKEN where somebody listens. `purpose` as in "PostgreSQL", `variable` is the one that changes the port. */
export async function assertPortFree(port: number, purpose: string, variable: string): Promise<void> {
  try {
    await listenOnce(port)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EADDRINUSE') throw portTaken(port, purpose, variable)
    if (code === 'EACCES') {
      throw new TrackOpsError('CONFIG_INVALID', `Port ${port} for ${purpose} (${variable}) needs rights that we lack.`)
    }
    throw error
  }
}

export function portTaken(port: number, purpose: string, variable: string): TrackOpsError {
  return new TrackOpsError('PORT_TAKEN', `Port ${port} for ${purpose} (${variable}) is taken by another program.`, {
    details: { port, variable },
  })
}

function listenOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, LOOPBACK, () => server.close(() => resolve()))
  })
}
