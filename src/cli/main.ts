/** The program `trackops`. */
import { COMMANDS } from './commands.ts'
import { dispatch, report, statusOf } from './dispatch.ts'
import { createProcessIo } from './io.ts'
import { VERSION } from './version.ts'

const io = createProcessIo()

// Nobody can say in which state the rest is: say it in one line, and go.
process.on('uncaughtException', (error) => {
  io.stderr.write(`trackops: ${report(error, io.env['TRACKOPS_DEBUG'] === '1')}\n`)
  process.exit(statusOf(error))
})

const status = await dispatch(process.argv.slice(2), io, { commands: COMMANDS, version: VERSION })
// A handle that somebody forgot must not keep the process; what was written to a pipe has to arrive first.
for (const stream of [io.stdout, io.stderr]) await new Promise<void>((resolve) => stream.write('', () => resolve()))
process.exit(status)
