import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

import { TrackOpsError } from '../runtime/errors.ts'

/**
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: the user name is empty, as the server
 * knows it from the startup message; no channel binding.
 */
export interface ScramClient {
  readonly clientFirst: string
  /** @throws TrackOpsError POSTGRES_PROTOCOL if the server's message is not one, or not an answer to ours */
  clientFinal(serverFirst: string): string
  /** The server knows the password too. @throws TrackOpsError POSTGRES_REFUSED if it does not */
  verify(serverFinal: string): void
}

const GS2_HEADER = 'n,,'
/** Above what any server is configured to; below what would keep this process busy for a minute. */
const MAX_ITERATIONS = 10_000_000

export function createScramClient(password: string, nonce = randomBytes(18).toString('base64')): ScramClient {
  const clientFirstBare = `n=,r=${nonce}`
  let serverSignature: Buffer | null = null

  return {
    clientFirst: GS2_HEADER + clientFirstBare,

    clientFinal(serverFirst) {
      const match = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst)
      const [, serverNonce = '', salt = '', iterationText = ''] = match ?? []
      const iterations = Number(iterationText)
      if (!match || !serverNonce.startsWith(nonce) || iterations < 1 || iterations > MAX_ITERATIONS) {
        throw new TrackOpsError(
          'POSTGRES_PROTOCOL',
          'the server began SCRAM with a message that answers nothing of ours',
        )
      }
      const withoutProof = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${serverNonce}`
      const authMessage = `${clientFirstBare},${serverFirst},${withoutProof}`
      const salted = pbkdf2Sync(password.normalize('NFKC'), Buffer.from(salt, 'base64'), iterations, 32, 'sha256')
      const clientKey = hmac(salted, 'Client Key')
      const clientSignature = hmac(createHash('sha256').update(clientKey).digest(), authMessage)
      serverSignature = hmac(hmac(salted, 'Server Key'), authMessage)
      const proof = Buffer.alloc(clientKey.length)
      for (let i = 0; i < proof.length; i++) proof[i] = (clientKey[i] ?? 0) ^ (clientSignature[i] ?? 0)
      return `${withoutProof},p=${proof.toString('base64')}`
    },

    verify(serverFinal) {
      const match = /^v=([^,]+)/.exec(serverFinal)
      const theirs = Buffer.from(match?.[1] ?? '', 'base64')
      if (!serverSignature || theirs.length !== serverSignature.length || !timingSafeEqual(theirs, serverSignature)) {
        throw new TrackOpsError('POSTGRES_REFUSED', 'the server could not prove that it knows the password')
      }
    },
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
