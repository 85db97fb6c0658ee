import { TrackOpsError } from '../../runtime/errors.ts'
import { tlsReason } from '../../runtime/tls.ts'

/** What the client throws has no place in our catalogue: by what it says, and never with what was sent. */
export function toKafkaError(error: unknown, doing: string): TrackOpsError {
  if (error instanceof TrackOpsError) return error
  const reasons = reasonsOf(error)
  const isRefusal = reasons.some(({ code }) => code === 'PLT_KFK_PROTOCOL' || code === 'PLT_KFK_AUTHENTICATION')
  const text = [...new Set(reasons.map(({ message }) => message))].slice(0, 3).join('; ')
  return new TrackOpsError(
    isRefusal ? 'KAFKA_REFUSED' : 'KAFKA_UNREACHABLE',
    `${doing}: ${text || 'no reason given'}`,
    {
      cause: error,
    },
  )
}

interface Reason {
  readonly code: string | undefined
  readonly message: string
}

/** The innermost errors say what happened; those around them how often it was tried. */
function reasonsOf(error: unknown): readonly Reason[] {
  if (!(error instanceof Error)) return [{ code: undefined, message: 'something that is not an error was thrown' }]
  const within = error instanceof AggregateError ? error.errors : error.cause instanceof Error ? [error.cause] : []
  if (within.length > 0) return within.flatMap(reasonsOf)
  const code = (error as { code?: string }).code
  return [{ code, message: tlsReason(error, 'KAFKA_TLS_CA_FILE') ?? error.message.replace(/\.$/, '') }]
}

/** The cluster does not know the topic. The client says so in words of its own where it asked for metadata (2.12.1). */
export function isUnknownTopic(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ((error as { apiId?: string }).apiId === 'UNKNOWN_TOPIC_OR_PARTITION') return true
  if ((error as { code?: string }).code === 'PLT_KFK_USER' && error.message.startsWith('Unknown topic ')) return true
  const within = error instanceof AggregateError ? error.errors : [error.cause]
  return within.some(isUnknownTopic)
}
