/**
 * What the environment says: one table, from which types, defaults, messages and the reference come. A service's port and a database's URL are the
 * configuration's business, which names their variables (`ServiceDefinition.port`, `DatabaseConfig.urlVariable`).
 */
import { isAbsolute } from 'node:path'

import { TrackOpsError } from './errors.ts'
import type { LogLevel } from './logger.ts'
import { type Environment, readSecret } from './secrets.ts'

export type KafkaSaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

export interface Settings {
  readonly mode: 'embedded' | 'distributed'
  readonly databaseUrl: string | undefined
  readonly redisUrl: string | undefined
  readonly kafkaBrokers: readonly string[] | undefined
  readonly kafkaTls: boolean
  readonly kafkaTlsCaFile: string | undefined
  readonly kafkaTlsCertFile: string | undefined
  readonly kafkaTlsKeyFile: string | undefined
  readonly kafkaSaslMechanism: KafkaSaslMechanism | undefined
  readonly kafkaSaslUsername: string | undefined
  readonly kafkaSaslPassword: string | undefined
  readonly redisTlsCaFile: string | undefined
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  readonly kafkaConnectUrl: string | undefined
  readonly captureDatabaseUrl: string | undefined
  readonly postgresPort: number
  readonly redisPort: number
  readonly consolePort: number
  readonly kafkaPort: number
  readonly kafkaControllerPort: number
  readonly connectPort: number
  readonly cacheDirectory: string | undefined
  readonly host: string
  readonly verifyRate: number
  readonly logLevel: LogLevel
  /** Unexpected errors are shown with their stack. */
  readonly debug: boolean
}

interface Setting<T> {
  readonly variable: string
  /** What the value is used for, in one sentence. */
  readonly doc: string
  /** As text, for the reference; undefined means that not set is a value of its own. */
  readonly default: string | undefined
  /** May hold a password: never shown in a message, and may come from a file that `<variable>_FILE` names. */
  readonly isSecret?: true
  /** In words, for the message: "a port from 1 to 65535". */
  readonly expected: string
  /** Null where the text is not as expected. */
  readonly parse: (text: string) => T | null
}

const LOG_LEVELS: readonly LogLevel[] = ['silent', 'error', 'warn', 'info', 'debug']
const SASL_MECHANISMS: readonly KafkaSaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const POSTGRES_URL = /^postgres(ql)?:$/
const REDIS_URL = /^rediss?:$/
const CONNECT_URL = /^https?:$/
const URL_FORMS = new Map([
  [POSTGRES_URL, 'postgres://user:password@host:port/database'],
  [REDIS_URL, 'redis://host:port/0, or rediss:// for TLS'],
  [CONNECT_URL, 'http://host:port'],
])

export const SETTINGS = {
  mode: {
    variable: 'TRACKOPS_MODE',
    doc: 'How changes travel: in one process, or over Kafka. Distributed as well where KAFKA_BROKERS is given.',
    default: 'embedded',
    expected: 'embedded or distributed',
    parse: (text) => (text === 'embedded' || text === 'distributed' ? text : null),
  },
  databaseUrl: url('DATABASE_URL', 'PostgreSQL of the source database; not set: embedded.', POSTGRES_URL),
  redisUrl: url('REDIS_URL', 'Redis of the cache; not set: embedded.', REDIS_URL),
  kafkaBrokers: {
    variable: 'KAFKA_BROKERS',
    doc: 'Brokers of the distributed mode, separated by commas.',
    default: undefined,
    expected: 'host:port, separated by commas',
    parse: brokers,
  },
  kafkaTls: flag(
    'KAFKA_TLS',
    '1: the brokers are spoken to over TLS, and their certificates and host names are checked.',
  ),
  kafkaTlsCaFile: file(
    'KAFKA_TLS_CA_FILE',
    "Authorities that the brokers' certificates are checked with; not set: the public ones.",
  ),
  kafkaTlsCertFile: file('KAFKA_TLS_CERT_FILE', 'Client certificate for the brokers.'),
  kafkaTlsKeyFile: file('KAFKA_TLS_KEY_FILE', 'Its private key, without a passphrase.'),
  kafkaSaslMechanism: {
    variable: 'KAFKA_SASL_MECHANISM',
    doc: 'How to log in to Kafka; not set: without a login.',
    default: undefined,
    expected: SASL_MECHANISMS.join(', '),
    parse: (text) => SASL_MECHANISMS.find((mechanism) => mechanism === text) ?? null,
  },
  kafkaSaslUsername: {
    variable: 'KAFKA_SASL_USERNAME',
    doc: 'User of that login.',
    default: undefined,
    expected: 'a name',
    parse: (text) => text,
  },
  kafkaSaslPassword: {
    variable: 'KAFKA_SASL_PASSWORD',
    doc: 'Password of that login.',
    default: undefined,
    isSecret: true,
    expected: 'a password',
    parse: (text) => text,
  },
  redisTlsCaFile: file(
    'REDIS_TLS_CA_FILE',
    "With rediss://: authorities that Redis's certificate is checked with; not set: the public ones.",
  ),
  redisTlsCertFile: file('REDIS_TLS_CERT_FILE', 'Client certificate for Redis.'),
  redisTlsKeyFile: file('REDIS_TLS_KEY_FILE', 'Its private key, without a passphrase.'),
  kafkaConnectUrl: url(
    'KAFKA_CONNECT_URL',
    'REST API of Kafka Connect: preflight looks at the connector there. Not set: it does not.',
    CONNECT_URL,
  ),
  captureDatabaseUrl: url(
    'TRACKOPS_CAPTURE_DATABASE_URL',
    'The source database for the connector: as Kafka Connect reaches it, with the role for it. Not set: as we reach it.',
    POSTGRES_URL,
  ),
  postgresPort: port('TRACKOPS_POSTGRES_PORT', 'Port of the embedded PostgreSQL.', 54_329),
  redisPort: port('TRACKOPS_REDIS_PORT', 'Port of the embedded Redis.', 63_799),
  consolePort: port('TRACKOPS_CONSOLE_PORT', 'Port of console, metrics and health.', 8080),
  kafkaPort: port('TRACKOPS_KAFKA_PORT', 'Port of the Kafka broker that trackops starts.', 9092),
  kafkaControllerPort: port('TRACKOPS_KAFKA_CONTROLLER_PORT', "Port of that broker's controller.", 9093),
  connectPort: port('TRACKOPS_CONNECT_PORT', 'Port of the Kafka Connect worker that trackops starts.', 8083),
  cacheDirectory: {
    variable: 'TRACKOPS_CACHE_DIR',
    doc: 'Where the jars of Kafka and Debezium are kept; not set: trackops below XDG_CACHE_HOME or ~/.cache.',
    default: undefined,
    expected: 'an absolute path',
    parse: (text) => (isAbsolute(text) ? text : null),
  },
  host: {
    variable: 'TRACKOPS_HOST',
    doc: 'Address on which console and services listen. Embedded servers listen on 127.0.0.1 in any case.',
    default: '127.0.0.1',
    expected: 'an address or the name of a host',
    parse: (text) => (/^[A-Za-z0-9.:_-]+$/.test(text) ? text : null),
  },
  verifyRate: {
    variable: 'TRACKOPS_VERIFY_RATE',
    doc: 'Keys a second that the process with the console compares with the database, for cdc_verify_*; 0: none.',
    default: '20',
    expected: 'a number of keys a second, 0 to 10000',
    parse: (text) => (/^\d{1,5}(\.\d+)?$/.test(text) && Number(text) <= 10_000 ? Number(text) : null),
  },
  logLevel: {
    variable: 'TRACKOPS_LOG_LEVEL',
    doc: 'What is logged to standard error, as JSON lines.',
    default: 'warn',
    expected: LOG_LEVELS.join(', '),
    parse: (text) => LOG_LEVELS.find((level) => level === text) ?? null,
  },
  debug: flag('TRACKOPS_DEBUG', '1: unexpected errors are shown with the place where they came from.'),
} as const satisfies { readonly [K in keyof Settings]: Setting<Exclude<Settings[K], undefined>> }

/** An empty variable counts as not set. Throws CONFIG_INVALID naming the first variable that is wrong. */
export function readSettings(environment: Environment): Settings {
  const read = <K extends keyof Settings>(name: K): Settings[K] =>
    // The table proves that each parser gives its own setting's type; indexed by a type parameter, the compiler can't see it.
    valueOf(SETTINGS[name] as Setting<unknown>, environment) as Settings[K]
  const kafkaBrokers = read('kafkaBrokers')
  const mode = read('mode')
  if (kafkaBrokers !== undefined && mode === 'embedded' && isSet(environment['TRACKOPS_MODE'])) {
    throw new TrackOpsError(
      'CONFIG_INVALID',
      'TRACKOPS_MODE is embedded, yet KAFKA_BROKERS is given: unset one of them.',
    )
  }
  return {
    mode: kafkaBrokers === undefined ? mode : 'distributed',
    databaseUrl: read('databaseUrl'),
    redisUrl: read('redisUrl'),
    kafkaBrokers,
    kafkaTls: read('kafkaTls'),
    kafkaTlsCaFile: read('kafkaTlsCaFile'),
    kafkaTlsCertFile: read('kafkaTlsCertFile'),
    kafkaTlsKeyFile: read('kafkaTlsKeyFile'),
    kafkaSaslMechanism: read('kafkaSaslMechanism'),
    kafkaSaslUsername: read('kafkaSaslUsername'),
    kafkaSaslPassword: read('kafkaSaslPassword'),
    redisTlsCaFile: read('redisTlsCaFile'),
    redisTlsCertFile: read('redisTlsCertFile'),
    redisTlsKeyFile: read('redisTlsKeyFile'),
    kafkaConnectUrl: read('kafkaConnectUrl'),
    captureDatabaseUrl: read('captureDatabaseUrl'),
    postgresPort: read('postgresPort'),
    redisPort: read('redisPort'),
    consolePort: read('consolePort'),
    kafkaPort: read('kafkaPort'),
    kafkaControllerPort: read('kafkaControllerPort'),
    connectPort: read('connectPort'),
    cacheDirectory: read('cacheDirectory'),
    host: read('host'),
    verifyRate: read('verifyRate'),
    logLevel: read('logLevel'),
    debug: read('debug'),
  }
}

function valueOf(setting: Setting<unknown>, environment: Environment): unknown {
  const given = setting.isSecret ? readSecret(environment, setting.variable) : environment[setting.variable]
  const text = isSet(given) ? given : setting.default
  if (text === undefined) return undefined
  const value = setting.parse(text)
  if (value !== null) return value
  const shown = setting.isSecret ? 'what it is set to' : JSON.stringify(text)
  throw new TrackOpsError('CONFIG_INVALID', `${setting.variable}: expected ${setting.expected}, not ${shown}.`, {
    details: { variable: setting.variable },
  })
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

function port(variable: string, doc: string, defaultPort: number): Setting<number> {
  return {
    variable,
    doc,
    default: String(defaultPort),
    expected: 'a port from 1 to 65535',
    parse: (text) => (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535 ? Number(text) : null),
  }
}

function flag(variable: string, doc: string): Setting<boolean> {
  return {
    variable,
    doc,
    default: '0',
    expected: '1 or 0',
    parse: (text) => (text === '1' || text === '0' ? text === '1' : null),
  }
}

function file(variable: string, doc: string): Setting<string> {
  return { variable, doc, default: undefined, expected: 'the path of a PEM file', parse: (text) => text }
}

function url(variable: string, doc: string, protocol: RegExp): Setting<string> {
  return {
    variable,
    doc,
    default: undefined,
    isSecret: true,
    expected: URL_FORMS.get(protocol) ?? 'a URL',
    parse: (text) =>
      URL.canParse(text) && protocol.test(new URL(text).protocol) && (protocol !== REDIS_URL || isRedisUrl(text))
        ? text
        : null,
  }
}

/** What its client would throw at: a path that is no database, a percent sign that begins nothing. */
function isRedisUrl(text: string): boolean {
  const { pathname, username, password } = new URL(text)
  return /^(?:\/\d{0,9})?$/.test(pathname) && [username, password].every(isDecodable)
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function brokers(text: string): readonly string[] | null {
  const list = text.split(',').map((broker) => broker.trim())
  return list.every((broker) => /^[^\s:]+:\d{1,5}$/.test(broker) && Number(broker.split(':')[1]) <= 65_535)
    ? list
    : null
}
