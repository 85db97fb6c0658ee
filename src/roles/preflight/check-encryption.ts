import { type ConnectionTarget, parseDatabaseUrl } from '../../runtime/connection-target.ts'
import { isLoopback } from '../../runtime/loopback.ts'
import type { ServerUrls } from '../connections.ts'
import type { TrackOpsConfig } from '../define-config.ts'
import type { KafkaConnection } from '../kafka-clients.ts'
import type { Check, Finding } from './finding.ts'

export interface EncryptionContext {
  readonly config: TrackOpsConfig
  readonly urls: ServerUrls
  readonly captureDatabaseUrl: string | undefined
  readonly kafka: KafkaConnection | undefined
}

/** Logins that leave this machine unencrypted. Looks at settings alone, so it says so of servers that do not answer, too. */
export const checkEncryption: Check<EncryptionContext> = {
  name: 'encryption',
  run: (context) => Promise.resolve(judgeEncryption(context)),
}

/** Pure. */
export function judgeEncryption({ config, urls, captureDatabaseUrl, kafka }: EncryptionContext): readonly Finding[] {
  const databases = [
    [config.source.urlVariable, urls.source],
    ...Object.entries(config.databases ?? {}).map(([name, { urlVariable }]) => [urlVariable, urls.databases[name]]),
    ['TRACKOPS_CAPTURE_DATABASE_URL', captureDatabaseUrl],
  ] as const
  return [
    ...databases.flatMap(([variable, url]) =>
      variable === undefined || url === undefined ? [] : ofPostgres(variable, url),
    ),
    ...ofRedis(urls.redis),
    ...ofKafka(kafka),
  ]
}

function ofPostgres(variable: string, url: string): readonly Finding[] {
  let target: ConnectionTarget
  try {
    target = parseDatabaseUrl(url)
  } catch {
    // Whoever connects says what is wrong with it.
    return []
  }
  const { host, password, sslMode } = target
  if (password === '' || isLoopback(host)) return []
  if (sslMode !== 'disable' && sslMode !== 'prefer') return []
  const how =
    sslMode === 'prefer' ? 'is encrypted only if whoever answers offers it (sslmode=prefer)' : 'is not encrypted'
  return [
    exposed(
      `the login of ${variable} to PostgreSQL at ${host} ${how}`,
      `Add sslmode=verify-full&sslrootcert=/path/of/ca.pem to the URL in ${variable}.`,
    ),
  ]
}

function ofRedis(url: string): readonly Finding[] {
  if (!URL.canParse(url)) return []
  const { protocol, hostname, password } = new URL(url)
  if (password === '' || protocol === 'rediss:' || isLoopback(hostname)) return []
  return [
    exposed(
      `the password of REDIS_URL travels to Redis at ${hostname} unencrypted`,
      'Give Redis a tls-port; write rediss:// in REDIS_URL, and the authority in REDIS_TLS_CA_FILE.',
    ),
  ]
}

function ofKafka(kafka: KafkaConnection | undefined): readonly Finding[] {
  const remote = kafka?.brokers.find((broker) => !isLoopback(broker.replace(/:\d+$/, '')))
  if (remote === undefined || kafka?.sasl === undefined || kafka.tls !== undefined) return []
  return [
    exposed(
      `the login of KAFKA_SASL_USERNAME (${kafka.sasl.mechanism}) travels to Kafka at ${remote} unencrypted`,
      'Use a listener with SASL_SSL: KAFKA_TLS=1, and the authority in KAFKA_TLS_CA_FILE.',
    ),
  ]
}

function exposed(finding: string, mend: string): Finding {
  return {
    id: 'login-unencrypted',
    severity: 'warning',
    finding,
    consequence:
      'Whoever is on the way can read what is sent, the password or what it can be guessed from, and every row.',
    mend,
  }
}
