import type { DeadLetter } from '../../log/dead-letters.ts'
import type { KafkaClients } from '../../log/kafka/kafka-clients.ts'
import { toKafkaError } from '../../log/kafka/kafka-error.ts'
import { ensureTopic } from '../../log/kafka/topics.ts'
import { describeError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/logger.ts'

/**
 * Dead letters for whoever watches topics: `<topic>.dlq`, the reason in headers. What `trackops dlq` lists and replays is in
 * PostgreSQL; so one that could not be published here is logged, and nothing waits for it.
 */
export interface DeadLetterTopics {
  publish(topic: string, letter: DeadLetter): Promise<void>
  close(): Promise<void>
}

export function createDeadLetterTopics(deps: {
  readonly clients: KafkaClients
  readonly log: Logger
}): DeadLetterTopics {
  const { clients, log } = deps
  const producer = clients.producer()
  const ensured = new Set<string>()

  return {
    async publish(topic, letter) {
      const target = `${topic}.dlq`
      try {
        if (!ensured.has(target)) await ensureTopic(clients, target, 1)
        ensured.add(target)
        const headers = {
          'trackops.consumer': letter.consumer,
          'trackops.source': letter.source,
          'trackops.position': letter.position,
          'trackops.error.code': letter.errorCode,
          'trackops.error.message': letter.errorMessage.slice(0, 1000),
        }
        await producer.send({
          messages: [
            {
              topic: target,
              key: Buffer.from(letter.position),
              value: Buffer.from(JSON.stringify(letter.subject)),
              headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
            },
          ],
        })
      } catch (error) {
        log.warn(
          { target, error: describeError(toKafkaError(error, 'publishing a dead letter')) },
          'dead letter not published',
        )
      }
    },
    close: () => producer.close().catch(() => undefined),
  }
}
