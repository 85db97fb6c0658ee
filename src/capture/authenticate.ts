import { createHash } from 'node:crypto'

import { TrackOpsError } from '../runtime/errors.ts'
import type { ConnectionTarget } from '../runtime/connection-target.ts'
import { createScramClient, type ScramClient } from './scram.ts'
import { passwordMessage, saslInitialMessage, saslResponseMessage } from './frontend-messages.ts'

/** `AuthenticationXxx` request codes. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const OK = 0
const CLEARTEXT = 3
const MD5 = 5
const SASL = 10
const SASL_CONTINUE = 11
const SASL_FINAL = 12

export interface Authenticator {
  /** Takes the body of an Authentication message; gives what to answer, null for nothing. */
  answer(body: Buffer): Buffer | null
}

export function createAuthenticator(target: ConnectionTarget): Authenticator {
  let scram: ScramClient | null = null
  return {
    answer(body) {
      const rest = body.subarray(4)
      switch (body.length < 4 ? -1 : body.readInt32BE(0)) {
        case OK:
          return null
        case CLEARTEXT:
          return passwordMessage(target.password)
        case MD5: {
          const inner = md5(Buffer.from(target.password + target.user))
          return passwordMessage(`md5${md5(Buffer.concat([Buffer.from(inner), rest.subarray(0, 4)]))}`)
        }
        case SASL: {
          const mechanisms = rest.toString('latin1').split('\0')
          if (!mechanisms.includes('SCRAM-SHA-256')) throw unknown(`SASL ${mechanisms.join(' ')}`)
          scram = createScramClient(target.password)
          return saslInitialMessage('SCRAM-SHA-256', scram.clientFirst)
        }
        case SASL_CONTINUE:
          if (!scram) throw unknown('SASL out of turn')
          return saslResponseMessage(scram.clientFinal(rest.toString('utf8')))
        case SASL_FINAL:
          if (!scram) throw unknown('SASL out of turn')
          scram.verify(rest.toString('utf8'))
          return null
        default:
          throw unknown(body.length < 4 ? 'without a number' : `number ${body.readInt32BE(0)}`)
      }
    },
  }
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

function unknown(what: string): TrackOpsError {
  return new TrackOpsError(
    'POSTGRES_REFUSED',
    `the server asks for an authentication that trackops does not know (${what}); it knows trust, password, md5 and scram-sha-256`,
  )
}
