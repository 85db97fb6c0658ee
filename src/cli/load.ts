import { loadConfig } from '../roles/load-config.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'

/** Traffic is the application's own: what a realistic mix is, only it can say. */
export async function load(argv: string[], io: CliIo): Promise<number> {
  const { config, file } = await loadConfig(configFile(io))
  if (!config.load) throw new TrackOpsError('USAGE', `${file} declares no load.`)
  return await config.load(argv, io)
}
