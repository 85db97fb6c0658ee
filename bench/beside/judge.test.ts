import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createJudge } from './judge.ts'

test('a version below what an earlier read was answered went back, but not below one that was still on its way', () => {
  const judge = createJudge(1000)
  const slow = judge.begin('a', 0)
  judge.begin('a', 1).answered(2)
  slow.answered(1)
  assert.deepEqual(judge.tally(), { reads: 2, wentBack: 0, tooOld: 0, failedReads: 0 })
  judge.begin('a', 3).answered(1)
  judge.begin('b', 3).answered(1)
  judge.begin('a', 4).answered(2)
  assert.equal(judge.tally().wentBack, 1)
})

test('a version below a write is too old once the bound has passed since the write ended', () => {
  const judge = createJudge(1000)
  judge.wrote('a', 5, 100)
  judge.wrote('a', 6, 500)
  judge.begin('a', 1100).answered(4)
  assert.equal(judge.tally().tooOld, 0)
  judge.begin('a', 1101).answered(5)
  assert.equal(judge.tally().tooOld, 0)
  judge.begin('a', 1102).answered(4)
  assert.equal(judge.tally().tooOld, 1, 'and what was needed before is still known')
  judge.begin('a', 1501).answered(5)
  judge.begin('a', 1502).answered(6)
  judge.begin('a', 9999).failed()
  assert.deepEqual(judge.tally(), { reads: 5, wentBack: 1, tooOld: 2, failedReads: 1 })
})
