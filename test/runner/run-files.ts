/** Runs test files with node:test, each in a process of its own, and gathers what somebody has to know. */
import { run } from 'node:test'
import type { EventData } from 'node:test'
import { relative } from 'node:path'
import { inspect } from 'node:util'

export interface RunResult {
  readonly passed: number
  readonly failures: readonly string[]
  readonly skipped: readonly SkippedTest[]
}

export interface SkippedTest {
  readonly name: string
  readonly reason: string
}

export interface RunFilesOptions {
  readonly root: string
  readonly concurrency: number
  /** A single test that takes longer has failed. */
  readonly testTimeoutMs: number
  /** A file that takes longer is ended, and has failed. */
  readonly fileTimeoutMs: number
}

/** Of the output of a file that failed, in characters. */
const OUTPUT_LIMIT = 20_000
/** A file in which no test runs for so long will not end: something was left open that keeps its process alive. */
const IDLE_TIMEOUT_MS = 20_000
const GIVE_UP_AFTER_MS = 10_000

export async function runFiles(files: readonly string[], options: RunFilesOptions): Promise<RunResult> {
  const waiting = [...files]
  const results: RunResult[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      results.push(await runFile(file, options))
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, work))
  return {
    passed: results.reduce((sum, result) => sum + result.passed, 0),
    failures: results.flatMap((result) => result.failures),
    skipped: results.flatMap((result) => result.skipped),
  }
}

async function runFile(file: string, options: RunFilesOptions): Promise<RunResult> {
  const name = relative(options.root, file)
  let passed = 0
  let running = 0
  let output = ''
  const failures: string[] = []
  const skipped: SkippedTest[] = []
  const giveUp = new AbortController()
  const end = (reason: string): void => {
    failures.push(`${name}  ${reason}`)
    giveUp.abort()
  }
  const stream = run({
    files: [file],
    isolation: 'process',
    timeout: options.testTimeoutMs,
    execArgv: process.execArgv,
    signal: giveUp.signal,
  })
  const limit = setTimeout(
    () => end(`took more than ${options.fileTimeoutMs / 1000} s, and was ended`),
    options.fileTimeoutMs,
  )
  let idle = setTimeout(() => undefined, 0)
  const noteProgress = (event: { nesting: number; name: string }, change: number): void => {
    if (event.nesting > 0 || event.name === file) return
    running += change
    clearTimeout(idle)
    if (running > 0) return
    idle = setTimeout(() => end('did not end after its last test: something was left open'), IDLE_TIMEOUT_MS)
  }

  const keepOutput = ({ message }: { message: string }): void => {
    output = (output + message).slice(-OUTPUT_LIMIT)
  }
  stream.on('test:stdout', keepOutput)
  stream.on('test:stderr', keepOutput)
  // Not test:start, which comes with a test's end. A test that computes without a pause reports nothing meanwhile; but it was
  // queued, or nothing was yet: then only the file's limit holds.
  stream.on('test:enqueue', (event) => noteProgress(event, 1))
  stream.on('test:complete', (event) => noteProgress(event, -1))
  stream.on('test:pass', (event) => {
    if (isFileItself(event, options.root)) return
    if (isSet(event.skip)) skipped.push({ name: event.name, reason: reasonOf(event.skip) })
    else if (isSet(event.todo)) skipped.push({ name: event.name, reason: `to do, ${reasonOf(event.todo)}` })
    else if (event.details.type !== 'suite') passed += 1
  })
  stream.on('test:fail', (event) => {
    const { error } = event.details
    if (isSet(event.todo)) {
      skipped.push({ name: event.name, reason: `to do, ${reasonOf(event.todo)}` })
      return
    }
    // What failed inside, and what we ended ourselves, has been told already.
    if (giveUp.signal.aborted || (error as { failureType?: string }).failureType === 'subtestsFailed') return
    failures.push(`${name}:${event.line ?? 0}  ${event.name}\n${indent(describe(error))}`)
  })
  stream.resume()
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve)
    stream.once('error', reject)
    giveUp.signal.addEventListener('abort', () => setTimeout(resolve, GIVE_UP_AFTER_MS).unref())
  })
  clearTimeout(limit)
  clearTimeout(idle)
  if (failures.length > 0 && output.trim() !== '') failures.push(`${name} printed:\n${indent(output.trimEnd())}`)
  return { passed, failures, skipped }
}

function isSet(mark: string | boolean | undefined): mark is string | true {
  return mark !== undefined && mark !== false
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
  const text = inspect(cause, { depth: 6, breakLength: 120, maxStringLength: 4000 })
  return text.replaceAll(/^ +at .*\(?node:[a-z_]+[/:].*\n/gm, '')
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}
