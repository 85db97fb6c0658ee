import { TrackOpsError } from '../runtime/errors.ts'
import type { Settings } from '../runtime/settings.ts'

/** @throws TrackOpsError USAGE where the environment asks for what is not there yet */
export function requireEmbedded(settings: Pick<Settings, 'mode' | 'kafkaBrokers'>): void {
  if (settings.mode === 'distributed' || settings.kafkaBrokers !== undefined) {
    throw new TrackOpsError(
      'USAGE',
      'the distributed mode (TRACKOPS_MODE=distributed, KAFKA_BROKERS) is not there yet: unset both to run embedded.',
    )
  }
}
