/** What others have published of theirs, as read in November 2026; where one figure is derived from another, it says so. */

export interface Published {
  readonly system: string
  readonly figure: string
  readonly setUp: string
  readonly source: string
}

const SEQUIN = 'Sequin, `docs/performance.mdx`'
const GO_PQ_CDC = 'Trendyol/go-pq-cdc, `benchmark/benchmark_cdc/README.md`'

export const PUBLISHED: readonly Published[] = [
  {
    system: 'Sequin',
    figure: '50,000 operations/s or 40 MB/s; 55 ms on average, p99 253 ms',
    setUp:
      'to Kafka, not Redis: RDS db.m5.8xlarge (32 vCPU, 128 GB), MSK of 4 brokers, 16 vCPU; from `updated_at` to Kafka’s creation time',
    source: SEQUIN,
  },
  {
    system: 'Sequin, by size',
    figure: '58,000 operations/s (16 vCPU), 34,000 (8), 20,000 (4 vCPU, 8 GiB); 23,000 with rows of 1.6 kB',
    setUp: 'the same; rows of 200 bytes',
    source: SEQUIN,
  },
  {
    system: 'Sequin, memory',
    figure: '1 to 2 GB up to 10,000 operations/s, 8 GB for 30,000',
    setUp: 'a sizing guide',
    source: 'Sequin, `docs/reference/minimum-requirements.mdx`',
  },
  {
    system: 'Debezium on MSK Connect',
    figure: '6,000 operations/s; 258 ms on average, p99 499 ms',
    setUp: '8 vCPU, 32 GiB; measured by Sequin',
    source: SEQUIN,
  },
  {
    system: 'Debezium Server',
    figure: '20,000 to 23,000 operations/s; 210 ms on average, p99 440 ms',
    setUp: '4 to 16 vCPU; measured by Sequin',
    source: SEQUIN,
  },
  {
    system: 'go-pq-cdc (Go)',
    figure: '10 million inserts in 2.5 minutes (66,700 rows/s, derived), 130 MB, 44 % of one CPU',
    setUp: 'MacBook M1 Pro, Docker with 1 CPU and 512 MB, to Redpanda',
    source: GO_PQ_CDC,
  },
  {
    system: 'Debezium in that test',
    figure: '21 minutes (7,900 rows/s, derived), 1.07 GB, 181 % of a CPU',
    setUp: 'the same laptop, 2 CPU and 1 GB',
    source: GO_PQ_CDC,
  },
  {
    system: 'Redis Data Integration, classic',
    figure: 'about 10,000 records/s a core; changes land “within a few seconds”',
    setUp: 'records of 1 kB, no transformation; at least two machines of 4 cores and 8 GB',
    source: 'redis/docs, `content/integrate/redis-data-integration/`: `_index.md`, `faq.md`, `architecture/_index.md`',
  },
  {
    system: 'Electric',
    figure: '6 ms from write to client, of which PostgreSQL 3 ms; 4,000 to 6,000 row changes/s that match',
    setUp: 'their own fleet, hardware not stated',
    source: 'electric, `website/docs/sync/reference/benchmarks.md`',
  },
  {
    system: 'Zero (TypeScript)',
    figure: 'about 2,500 writes/s at most; initial sync 15,000 rows/s',
    setUp: 'one customer’s workload on Cloud Zero',
    source: 'zero-docs, `contents/docs/release-notes/1.7.mdx`, `0.17.mdx`',
  },
  {
    system: 'PowerSync (TypeScript)',
    figure: '2,000 to 4,000 operations/s of small rows, 5 MB/s of large ones; lag “single-digit seconds”',
    setUp: 'PowerSync Cloud',
    source: 'powersync-docs, `resources/performance-and-limits.mdx`, `maintenance-ops/replication-lag.mdx`',
  },
  {
    system: 'supabase/etl (Rust)',
    figure: 'copy 87,738 rows/s, streaming 6,842 events/s',
    setUp: 'a sample report: TPC-C of one warehouse, to a sink that does nothing',
    source: 'supabase/etl, `crates/etl-benchmarks/README.md`',
  },
  {
    system: 'PeerDB',
    figure: '“data freshness of a few 10s of seconds even at 10k+ tps”',
    setUp: 'a claim without a set-up',
    source: 'PeerDB, `README.md`',
  },
  {
    system: 'Uber CacheFront',
    figure: '150 million reads/s, hit rate above 99.9 %',
    setUp: 'in production, Redis before Docstore on MySQL',
    source: 'https://www.uber.com/en-IN/blog/how-uber-serves-over-150-million-reads',
  },
  {
    system: 'pg_local_cache 3.1.0',
    figure: '210,000 reads/s a pair of vCPUs, the best Valkey beside it 180,000',
    setUp: 'two virtual machines; a cache within the database',
    source: 'https://pgxn.org/dist/pg_local_cache/3.1.0/README.html',
  },
]
