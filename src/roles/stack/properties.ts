/** What broker and worker are told, as Java properties. Pure. */
import { LOOPBACK } from '../embedded/local-port.ts'

export type Properties = Readonly<Record<string, string>>

export interface StackPorts {
  readonly kafka: number
  readonly controller: number
  readonly connect: number
}

/** A further door to the broker, for clients with TLS or SASL. What it needs besides goes into the broker's settings. */
export interface KafkaListener {
  /** In capitals: `SECURE`. Settings of its own begin with `listener.name.secure.`. */
  readonly name: string
  readonly protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
  readonly port: number
}

export interface BrokerPropertiesOptions {
  readonly ports: Pick<StackPorts, 'kafka' | 'controller'>
  readonly dataDirectory: string
  readonly listeners?: readonly KafkaListener[]
  /** Over everything else. */
  readonly settings?: Properties
}

/** Connect and we ourselves always use it, so that readiness does not depend on anybody's certificates. */
const INTERNAL = 'PLAINTEXT'
const CONTROLLER = 'CONTROLLER'
/** A row with a large text is one message; Kafka's own limit is 1 MB. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024

/** Broker and controller in one process. One node: nothing has a second replica, transactions included. */
export function brokerProperties(options: BrokerPropertiesOptions): Properties {
  const { ports } = options
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    ...listenerProperties(ports, options.listeners ?? []),
    // The voters from here, not from the log: the port may be another at the next start.
    'controller.quorum.voters': `1@${LOOPBACK}:${ports.controller}`,
    'log.dirs': options.dataDirectory,
    'auto.create.topics.enable': 'false',
    'num.partitions': '1',
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'group.initial.rebalance.delay.ms': '0',
    // A broker that was killed may not come back before its old session has ended (default: 9 s).
    'broker.session.timeout.ms': '5000',
    'broker.heartbeat.interval.ms': '1000',
    'message.max.bytes': String(MAX_MESSAGE_BYTES),
    // It shares a laptop.
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
    'log.cleaner.dedupe.buffer.size': String(8 * 1024 * 1024),
    ...options.settings,
  }
}

export interface WorkerPropertiesOptions {
  readonly ports: Pick<StackPorts, 'kafka' | 'connect'>
  readonly pluginDirectory: string
  readonly settings?: Properties
}

/** One worker of a distributed group, so that connectors are kept in Kafka and installed by REST, as people have it. */
export function workerProperties(options: WorkerPropertiesOptions): Properties {
  const { ports } = options
  return {
    'bootstrap.servers': `${LOOPBACK}:${ports.kafka}`,
    'group.id': 'trackops-connect',
    listeners: `http://${LOOPBACK}:${ports.connect}`,
    'rest.advertised.host.name': LOOPBACK,
    'rest.advertised.port': String(ports.connect),
    'plugin.path': options.pluginDirectory,
    // Every plugin of ours says by itself what it is: without looking through all classes, the start is faster.
    'plugin.discovery': 'service_load',
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': 'false',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'false',
    // So that the connector's password can be a reference: ${env:NAME}.
    'config.providers': 'env',
    'config.providers.env.class': 'org.apache.kafka.common.config.provider.EnvVarConfigProvider',
    'config.storage.topic': 'trackops-connect-configs',
    'config.storage.replication.factor': '1',
    'offset.storage.topic': 'trackops-connect-offsets',
    'offset.storage.replication.factor': '1',
    'offset.storage.partitions': '1',
    'status.storage.topic': 'trackops-connect-status',
    'status.storage.replication.factor': '1',
    'status.storage.partitions': '1',
    'offset.flush.interval.ms': '1000',
    'producer.max.request.size': String(MAX_MESSAGE_BYTES),
    // A worker that was killed comes back under another name: its tasks need not wait for the old one (default: 5 minutes).
    'scheduled.rebalance.max.delay.ms': '0',
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '2000',
    ...options.settings,
  }
}

/** In the form of java.util.Properties: `\`, line ends and everything outside of ASCII are escaped. */
export function renderProperties(properties: Properties): string {
  return Object.entries(properties)
    .map(([name, value]) => `${escape(name).replaceAll(/[ :=#!]/g, '\\$&')}=${escape(value).replace(/^ /, '\\ ')}\n`)
    .join('')
}

function listenerProperties(
  ports: Pick<StackPorts, 'kafka' | 'controller'>,
  further: readonly KafkaListener[],
): Properties {
  const clients: readonly KafkaListener[] = [{ name: INTERNAL, protocol: 'PLAINTEXT', port: ports.kafka }, ...further]
  const all = [...clients, { name: CONTROLLER, protocol: 'PLAINTEXT', port: ports.controller }]
  const address = ({ name, port }: { name: string; port: number }): string => `${name}://${LOOPBACK}:${port}`
  return {
    listeners: all.map(address).join(','),
    'advertised.listeners': clients.map(address).join(','),
    'listener.security.protocol.map': all.map(({ name, protocol }) => `${name}:${protocol}`).join(','),
    'inter.broker.listener.name': INTERNAL,
    'controller.listener.names': CONTROLLER,
  }
}

function escape(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
