import { TrackOpsError } from '../runtime/errors.ts'
import type { Settings } from '../runtime/settings.ts'
import { readTlsFiles } from '../runtime/tls.ts'
import type { KafkaConnection, KafkaLogin } from './kafka-clients.ts'

/**
 * How the brokers are reached, from what the environment says; undefined where it names none. The settings are taken as a whole: half
 * of a login, or a certificate that TLS does not ask for, is somebody's mistake, and the quiet way out would be a password in the clear.
 *
 * @throws TrackOpsError CONFIG_INVALID
 */
export function kafkaConnection(settings: Settings): KafkaConnection | undefined {
  const { kafkaBrokers: brokers, kafkaTls: hasTls } = settings
  const named = (setting: string, file: string | undefined) => (file === undefined ? undefined : { setting, file })
  const files = {
    ca: named('KAFKA_TLS_CA_FILE', settings.kafkaTlsCaFile),
    cert: named('KAFKA_TLS_CERT_FILE', settings.kafkaTlsCertFile),
    key: named('KAFKA_TLS_KEY_FILE', settings.kafkaTlsKeyFile),
  }
  const file = files.ca ?? files.cert ?? files.key
  if (file !== undefined && !hasTls) throw invalid(`${file.setting} is set, but KAFKA_TLS is not: set KAFKA_TLS=1.`)
  const sasl = login(settings)
  if (brokers !== undefined) return { brokers, sasl, tls: hasTls ? readTlsFiles(files) : undefined }
  if (hasTls || sasl)
    throw invalid(`${hasTls ? 'KAFKA_TLS' : 'KAFKA_SASL_MECHANISM'} is set, but KAFKA_BROKERS is not.`)
  return undefined
}

/** Distributed mode: the given brokers, or those of `trackops stack up` on this machine. Embedded: undefined. */
export function kafkaConnectionOf(settings: Settings): KafkaConnection | undefined {
  const given = kafkaConnection(settings)
  if (settings.mode === 'embedded') return undefined
  return given ?? { brokers: [`127.0.0.1:${settings.kafkaPort}`] }
}

function login(settings: Settings): KafkaLogin | undefined {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: username, kafkaSaslPassword: password } = settings
  if (mechanism !== undefined && username !== undefined && password !== undefined)
    return { mechanism, username, password }
  const parts = {
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    'KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)': password,
  }
  const missing = Object.entries(parts).flatMap(([variable, value]) => (value === undefined ? [variable] : []))
  if (missing.length === 3) return undefined
  throw invalid(`a login to Kafka needs ${missing.join(' and ')} as well: set it, or unset the others.`)
}

function invalid(message: string): TrackOpsError {
  return new TrackOpsError('CONFIG_INVALID', message)
}
