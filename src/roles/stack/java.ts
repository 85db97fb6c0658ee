import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { TrackOpsError } from '../../runtime/errors.ts'
import { findProgram, isExecutable } from '../embedded/find-program.ts'

/** Kafka 4 needs 17 for broker and Connect; Debezium 3 as well. */
const OLDEST = 17
const INSTALL = 'sudo apt-get install openjdk-17-jre-headless, or brew install openjdk@17'

/** Absolute path of a Java that is new enough: of JAVA_HOME, else of the PATH. Throws SERVER_MISSING. */
export async function findJava(env: NodeJS.ProcessEnv): Promise<string> {
  const home = env['JAVA_HOME']
  const ofHome = home ? join(home, 'bin', 'java') : null
  const java = ofHome !== null && isExecutable(ofHome) ? ofHome : findProgram(env['PATH'] ?? '', 'java')
  if (java === null) {
    throw new TrackOpsError('SERVER_MISSING', `Java ${OLDEST} or newer is needed, and there is none: ${INSTALL}.`)
  }
  const version = await promisify(execFile)(java, ['-version'], { env }).then(
    ({ stderr, stdout }) => javaVersion(stderr + stdout),
    () => null,
  )
  if (version === null || version < OLDEST) {
    const found = version === null ? `${java} does not run` : `${java} is version ${version}`
    throw new TrackOpsError('SERVER_MISSING', `Java ${OLDEST} or newer is needed, and ${found}: ${INSTALL}.`)
  }
  return java
}

/** `openjdk version "17.0.15" ...` -> 17; `"1.8.0_402"` -> 8; null where it is something else. */
export function javaVersion(text: string): number | null {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(text) ?? []
  if (first === undefined) return null
  return Number(first === '1' && second !== undefined ? second : first)
}
