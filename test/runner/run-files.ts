/** Runs test files with node:test, each in a process of its own, and gathers what somebody has to know. */
import { run } from 'node:test'
import type { EventData } from 'node:test'
import { relative } from 'node:path'
import { inspect } from 'node:util'

export interface RunResult {
  readonly passed: number
  readonly failures: readonly string[]
  /** `name: reason` */
  readonly skipped: readonly string[]
}

export interface RunFilesOptions {
  readonly root: string
  readonly concurrency: number
  /** A file that takes longer has failed; also one that doesn't end because something was left open. */
  readonly fileTimeoutMs: number
}

/** Of the output of a file that failed, in characters. */
const OUTPUT_LIMIT = 20_000

export async function runFiles(files: readonly string[], options: RunFilesOptions): Promise<RunResult> {
  let passed = 0
  const failures: string[] = []
  const skipped: string[] = []
  const outputs = new Map<string, string>()
  const failedFiles = new Set<string>()
  const nameOf = (file: string | undefined): string => (file === undefined ? '?' : relative(options.root, file))

  const keepOutput = ({ file, message }: EventData.TestStdout): void => {
    const key = nameOf(file)
    outputs.set(key, ((outputs.get(key) ?? '') + message).slice(-OUTPUT_LIMIT))
  }
  const stream = run({
    files: [...files],
    concurrency: options.concurrency,
    isolation: 'process',
    timeout: options.fileTimeoutMs,
    execArgv: process.execArgv,
  })
  stream.on('test:stdout', keepOutput)
  stream.on('test:stderr', keepOutput)
  stream.on('test:pass', (event) => {
    if (isFileItself(event, options.root)) return
    if (event.skip !== undefined && event.skip !== false) skipped.push(`${event.name}: ${reasonOf(event.skip)}`)
    else if (event.todo !== undefined && event.todo !== false)
      skipped.push(`${event.name}: to do, ${reasonOf(event.todo)}`)
    else if (event.details.type !== 'suite') passed += 1
  })
  stream.on('test:fail', (event) => {
    const { error } = event.details
    if (event.todo !== undefined && event.todo !== false) {
      skipped.push(`${event.name}: to do, ${reasonOf(event.todo)}`)
      return
    }
    // What failed inside has been told already.
    if ((error as { failureType?: string }).failureType === 'subtestsFailed') return
    const file = nameOf(event.file)
    failedFiles.add(file)
    failures.push(`${file}:${event.line ?? 0}  ${event.name}\n${indent(describe(error))}`)
  })
  stream.resume()
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve)
    stream.once('error', reject)
  })
  for (const file of failedFiles) {
    const output = outputs.get(file)
    if (output !== undefined) failures.push(`${file} printed:\n${indent(output.trimEnd())}`)
  }
  return { passed, failures, skipped }
}

/** With isolation by process, a file that holds no test reports itself as one. */
function isFileItself(event: EventData.TestPass, root: string): boolean {
  return event.nesting === 0 && event.file !== undefined && relative(root, event.file) === relative(root, event.name)
}

function reasonOf(value: string | true): string {
  return value === true ? 'no reason given' : value
}

/** node:test wraps what a test threw; the cause is what its author wrote. */
function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return inspect(cause, { depth: 6, breakLength: 120, maxStringLength: 4000 })
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}
