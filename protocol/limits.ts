/**
 * The one table of bounds: what a node accepts, holds or waits for at most, each with its unit and its reason.
 * `docs/reference/limits.md` is generated from it. Bounds of one federation (quorum, norm) live in its manifest.
 */

export interface Limit {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'bits' | 'ratio';
  readonly why: string;
}

const KiB = 1024;

export const LIMITS = {
  blobChunk: {
    value: 256 * KiB,
    unit: 'bytes',
    why: 'what a cut in the middle of a transfer throws away at most of a message that was half there',
  },
  filePiece: { value: 1024 * KiB, unit: 'bytes', why: 'what is read of a file at a time to hash it' },
  databaseBusyWait: {
    value: 5_000,
    unit: 'ms',
    why: 'how long a statement waits for another connection of the same file, such as a status command',
  },
  blobSize: {
    value: 256 * KiB * KiB,
    unit: 'bytes',
    why: 'largest blob ever stored or received; an update of rank 16 over all seven projections of a 7 B model fits',
  },
  safetensorsHeader: {
    value: 100_000_000,
    unit: 'bytes',
    why: 'longest safetensors header that is read into memory; the bound of the format itself',
  },
  modelTextFile: {
    value: 64 * 1024 * KiB,
    unit: 'bytes',
    why: 'largest config.json, tokenizer.json or index of shards that is parsed; vocabularies of 256k tokens take 35 MiB',
  },
  checkpointHashCacheFrom: {
    value: 64 * 1024 * KiB,
    unit: 'bytes',
    why: 'from this size on the hash of a checkpoint is remembered beside it; below, hashing takes less than 0.1 s',
  },
  hubAnswer: {
    value: 16 * 1024 * KiB,
    unit: 'bytes',
    why: 'longest JSON answer of a model hub; a page of 1,000 files takes 0.3 MiB',
  },
  hubRefusal: { value: 16 * KiB, unit: 'bytes', why: 'what is read of a refusal, to say its reason' },
  hubFiles: { value: 10_000, unit: 'count', why: 'files in the root folder of a model; large models have 200' },
  hubRedirects: { value: 5, unit: 'count', why: 'a renamed repository, then its files on another host: two' },
  hubStall: { value: 60_000, unit: 'ms', why: 'without a byte for this long a connection counts as cut' },
  hubAttempts: {
    value: 6,
    unit: 'count',
    why: 'attempts in a row without a new byte before a hub counts as away; half a minute with the pauses',
  },
  hubRetryFirst: { value: 1_000, unit: 'ms', why: 'first pause after a failure that may pass; each next one doubles' },
  hubRetryLongest: {
    value: 60_000,
    unit: 'ms',
    why: 'longest pause between attempts; a hub that asks for more ends the command, which says how long',
  },
  pullSpare: { value: 64 * 1024 * KiB, unit: 'bytes', why: 'disk space left free by a pull, for everything else' },
  judgeAnswer: { value: 1024 * KiB, unit: 'bytes', why: 'a verdict is one word; more is a broken or hostile endpoint' },
  judgeTimeout: { value: 60_000, unit: 'ms', why: 'a large model on a busy server answers one word within it' },
  judgeAttempts: { value: 4, unit: 'count', why: 'outlasts a short overload without hiding a dead endpoint' },
  judgeRetryWait: { value: 30_000, unit: 'ms', why: 'longest wait between attempts, whatever the server asks for' },
  message: {
    value: 64 * KiB,
    unit: 'bytes',
    why: 'longest message; the longest there is, a join with its invite, takes a few KiB',
  },
  document: {
    value: 1024 * KiB,
    unit: 'bytes',
    why: 'longest manifest, invite or receipt; a receipt of 1,024 updates takes 303 KiB',
  },
  checkpoint: {
    value: 16 * KiB,
    unit: 'bytes',
    why: 'longest checkpoint of a log; a body takes 150 bytes and each signature 170, so 90 witnesses fit',
  },
  wireDepth: { value: 8, unit: 'count', why: 'how deep a message may nest; ours nest to 4' },
  wireItems: { value: 32_768, unit: 'count', why: 'values in one message; a receipt of 1,024 updates has 7,200' },
  typeName: { value: 32, unit: 'count', why: "characters of a message type's name" },
  name: { value: 128, unit: 'count', why: 'characters of a name for people' },
  sentence: { value: 512, unit: 'count', why: 'characters of a sentence in a manifest' },
  address: { value: 256, unit: 'count', why: 'characters of a multiaddr' },
  addresses: { value: 16, unit: 'count', why: 'multiaddrs of one aggregator' },
  aggregators: { value: 8, unit: 'count', why: 'aggregators of one federation, of which one runs a round' },
  participants: {
    value: 1024,
    unit: 'count',
    why: 'members of a federation; the sum of 2^10 integers of 32 bits is exact in float64, also for weighted rules',
  },
  witnesses: { value: 64, unit: 'count', why: 'witnesses of one federation; all of them fit on a checkpoint' },
  rounds: { value: 100_000, unit: 'count', why: 'rounds of one federation; one a minute for two months' },
  rank: { value: 512, unit: 'count', why: 'LoRA rank; more is no longer a low rank' },
  pairs: { value: 2 ** 30, unit: 'count', why: 'preference pairs that a participant may claim' },
  deadline: { value: 30 * 24 * 3_600_000, unit: 'ms', why: 'longest deadline of a round' },
  messageLifetime: {
    value: 24 * 3_600_000,
    unit: 'ms',
    why: 'longest time for which a message may count; a captured one is worthless after it',
  },
  inviteLifetime: {
    value: 14 * 24 * 3_600_000,
    unit: 'ms',
    why: 'longest time for which an invite may be used first; a forgotten one opens no door for longer',
  },
  revocations: {
    value: 512,
    unit: 'count',
    why: 'keys, and invites, that a federation may revoke; a list of as many of both takes 45 KiB and so fits a message',
  },
  revocationGrace: {
    value: 3_600_000,
    unit: 'ms',
    why: 'from when a list of revocations is issued until a round that begins without it is taken for a refusal to heed it',
  },
  guests: {
    value: 4096,
    unit: 'count',
    why: 'used invites that an aggregator tells another; each takes 170 bytes, so all fit a document',
  },
  clockTolerance: { value: 120_000, unit: 'ms', why: 'how far the clocks of two peers may differ' },
  replayWindow: {
    value: 256,
    unit: 'count',
    why: "a sender's messages that are remembered one by one; older ones count as seen",
  },
  replaySenders: {
    value: 4096,
    unit: 'count',
    why: 'senders whose messages are remembered: all members, and as many again who asked to join',
  },
  missedRounds: {
    value: 2,
    unit: 'count',
    why: 'rounds in a row without an answer after which a member is no longer waited for, until it asks again',
  },
  tensors: {
    value: 8192,
    unit: 'count',
    why: 'tensors of one blob; a model of 126 layers with seven targets has 1,764',
  },
  tensorName: { value: 256, unit: 'count', why: "characters of a tensor's name" },
  dimensions: { value: 4, unit: 'count', why: "dimensions of a tensor's shape" },
  connections: {
    value: 64,
    unit: 'count',
    why: 'a participant knows its aggregators and some of the DHT; memory is connections times streams times buffers',
  },
  connectionsAggregator: {
    value: 1_088,
    unit: 'count',
    why: 'every participant of the largest federation, and some of the DHT',
  },
  pendingConnections: {
    value: 1024,
    unit: 'count',
    why: 'inbound connections that have not shown who they are yet: dialers that stay silent hold a place each for dialWait, and honest ones must find another',
  },
  connectionsPerHost: {
    value: 50,
    unit: 'count',
    why: 'new connections a second from one address; a household, an office or a container host shares one',
  },
  connectionsPerHostLocal: {
    value: 1_000,
    unit: 'count',
    why: 'the same on one machine, where every node has the same address',
  },
  connectionStreams: {
    value: 256,
    unit: 'count',
    why: 'open streams of all protocols on one connection, in each direction',
  },
  protocolStreams: {
    value: 8,
    unit: 'count',
    why: 'open streams of one protocol on one connection; a peer needs one or two',
  },
  streamWindow: {
    value: 2 * 1024 * KiB,
    unit: 'bytes',
    why: 'largest window of a stream; stays below the read buffer, which a sender could otherwise overflow',
  },
  streamReadBuffer: {
    value: 4 * 1024 * KiB,
    unit: 'bytes',
    why: 'what a stream holds unread; twice the window, so that it never overflows',
  },
  dialWait: {
    value: 30_000,
    unit: 'ms',
    why: 'an encrypted connection or a stream stands within it, over a slow network or on a machine that is training',
  },
  relayPlaces: { value: 256, unit: 'count', why: 'peers that a relay keeps a place for; each costs one connection' },
  relayBytes: {
    value: 128 * KiB,
    unit: 'bytes',
    why: 'what one relayed connection carries, unless its owner opened the relay: the default of libp2p',
  },
  relayDuration: { value: 120_000, unit: 'ms', why: 'how long one relayed connection lasts: the default of libp2p' },
  holePunchWait: {
    value: 10_000,
    unit: 'ms',
    why: 'how long two peers that met at a relay try for a direct connection; it comes within a second or not at all',
  },
  streamUnsent: {
    value: 256 * KiB,
    unit: 'bytes',
    why: 'what may wait for a slow reader beyond what its window allows',
  },
  bootstrapWait: {
    value: 30_000,
    unit: 'ms',
    why: 'how long a start waits for a bootstrap node that may be starting too',
  },
  anchorRetryFirst: { value: 250, unit: 'ms', why: 'first pause before a lost anchor is dialled again' },
  anchorRetryLongest: {
    value: 30_000,
    unit: 'ms',
    why: 'longest pause between attempts, so that a node is back soon after an outage',
  },
  anchorPingEvery: { value: 20_000, unit: 'ms', why: 'often enough to keep address translations alive' },
  anchorPingWait: { value: 30_000, unit: 'ms', why: 'a remote that is busy computing answers within it' },
  anchorPingsMissed: { value: 3, unit: 'count', why: 'one or two lost pings are no lost peer' },
  gossipFrame: {
    value: 16 * KiB,
    unit: 'bytes',
    why: 'an announcement with its signature and routing; larger ones are not decoded',
  },
  gossipOutbound: { value: 1024 * KiB, unit: 'bytes', why: 'gossip waiting for one slow peer; more is dropped' },
  gossipTopicMemory: {
    value: 64 * KiB,
    unit: 'bytes',
    why: "what one peer's subscriptions may take; a peer has one topic a federation",
  },
  gossipStreams: {
    value: 4,
    unit: 'count',
    why: 'gossip uses one stream each way; a few more while connections are replaced',
  },
  pairsLine: {
    value: 1024 * KiB,
    unit: 'bytes',
    why: 'longest line of a pairs file; a pair at the longest context of today takes less',
  },
  pairsFile: {
    value: 1024 * 1024 * KiB,
    unit: 'bytes',
    why: 'largest pairs file that is read, since its pairs are held in memory',
  },
  blobDepth: {
    value: 16,
    unit: 'count',
    why: 'chunks asked for ahead, 4 MiB; hides the round trip and bounds what is in memory',
  },
  blobsAtOnce: {
    value: 8,
    unit: 'count',
    why: 'blobs of a round that a node fetches beside each other: hides the round trips of small ones',
  },
  mendingPeers: {
    value: 16,
    unit: 'count',
    why: 'members whom an aggregator asks for an adapter that its own disk has damaged: any of them is enough',
  },
  streamUnread: {
    value: 512 * KiB,
    unit: 'bytes',
    why: 'twice the first window of a stream: what may have come before the first read',
  },
  blobReadWait: { value: 30_000, unit: 'ms', why: 'one chunk of 256 KiB at 75 kbit/s' },
  blobSlowest: { value: 32 * KiB, unit: 'bytes', why: 'bytes a second below which a whole transfer is given up' },
  blobAttempts: {
    value: 6,
    unit: 'count',
    why: 'attempts in a row without a single new chunk before a peer counts as gone',
  },
  blobRetryFirst: { value: 100, unit: 'ms', why: 'first pause after a cut' },
  blobRetryLongest: { value: 10_000, unit: 'ms', why: 'longest pause after a cut; the other side may be redialling' },
  blobHourly: {
    value: 16 * KiB * KiB * KiB,
    unit: 'bytes',
    why: 'what one peer may read of us in an hour; sixty of the largest blobs',
  },
  announcement: { value: 8 * KiB, unit: 'bytes', why: 'gossip multiplies every byte; what is longer is fetched' },
  requests: {
    value: 120,
    unit: 'count',
    why: 'requests that a peer may make at once; a participant makes a few a round and polls',
  },
  requestRefill: {
    value: 60_000,
    unit: 'ms',
    why: 'time in which an empty allowance of requests is full again: two a second',
  },
  requestLifetime: {
    value: 300_000,
    unit: 'ms',
    why: 'for how long a request or an announcement counts; well above the longest wait for an answer',
  },
  pollFirst: { value: 250, unit: 'ms', why: 'first pause before a participant asks again where the round stands' },
  pollLongest: {
    value: 2_000,
    unit: 'ms',
    why: 'longest pause between such questions; gossip usually tells earlier, and the allowance of requests holds',
  },
  pollShare: {
    value: 60,
    unit: 'ms',
    why: 'times the members, the longest pause between such questions where that is more: an aggregator answers about 20 a second, however many ask',
  },
  standbyPoll: {
    value: 1_000,
    unit: 'ms',
    why: 'pause between two looks of an aggregator at the others: what it has not copied when one dies is lost to it',
  },
  successorWait: {
    value: 5_000,
    unit: 'ms',
    why: 'longest that an aggregator waits for a word of another: a receipt is held up by it where that one hangs',
  },
  takeOverWait: {
    value: 30_000,
    unit: 'ms',
    why: 'how long no aggregator must be heard of before the second takes over; outlasts a restart',
  },
  finishGrace: {
    value: 60_000,
    unit: 'ms',
    why: 'how long an aggregator that may stop waits for members to fetch the last adapter',
  },
  locateWait: {
    value: 5_000,
    unit: 'ms',
    why: 'one search for an aggregator that is gone; known addresses are tried again between two searches',
  },
  leaveWait: { value: 15_000, unit: 'ms', why: 'how long someone who leaves waits to tell the aggregator' },
  aggregationMemory: {
    value: 256 * 1024 * KiB,
    unit: 'bytes',
    why: 'updates that a rule holds side by side; more are read in stretches, with a pass over all for each',
  },
  inlineAggregation: {
    value: 4 * 1024 * KiB,
    unit: 'bytes',
    why: 'updates of a round up to this size are summed at once (0.05 s); more goes to a thread of its own',
  },
  requestWait: { value: 15_000, unit: 'ms', why: 'a message of 64 KiB at 50 kbit/s' },
  answerWait: {
    value: 15_000,
    unit: 'ms',
    why: 'a connection and an answer that takes no work, of an aggregator whose machine is busy; one that hangs for longer is passed over',
  },
  replyWait: {
    value: 60_000,
    unit: 'ms',
    why: 'longest that an aggregator takes to answer, an update pulled and checked included',
  },
  discoveryWait: {
    value: 60_000,
    unit: 'ms',
    why: 'how long a newcomer looks for a federation; its aggregator may be starting too',
  },
  discoveryRetryFirst: { value: 200, unit: 'ms', why: 'first pause before the network is asked again' },
  discoveryRetryLongest: { value: 5_000, unit: 'ms', why: 'longest pause before the network is asked again' },
  provideWait: { value: 30_000, unit: 'ms', why: 'one round of telling the network; it is repeated' },
  provideEvery: {
    value: 600_000,
    unit: 'ms',
    why: 'well within the 48 hours of a record, and soon after others have restarted',
  },
  providePause: {
    value: 250,
    unit: 'ms',
    why: 'between two rounds of telling the network, when many peers connect at once',
  },
  connectionPingEvery: {
    value: 10_000,
    unit: 'ms',
    why: 'keeps connections from looking idle and measures their round trip',
  },
  deviceProbe: {
    value: 60_000,
    unit: 'ms',
    why: 'how long a device may take to be tested and timed; a driver that compiles its kernels slowly needs half of it',
  },
  deviceBelief: {
    value: 604_800_000,
    unit: 'ms',
    why: 'how long the outcome is believed, for a driver may change in ways that are not looked for',
  },
  acceleratorGraphs: {
    value: 4,
    unit: 'count',
    why: 'compiled graphs kept on an accelerator, where each has its own pool of memory',
  },
  acceleratorWeights: {
    value: 4 * 1024 * 1024 * KiB,
    unit: 'bytes',
    why: 'weights that these graphs hold together, each its own copy: half of the memory of a common GPU',
  },
  interpreterTurn: {
    value: 30,
    unit: 'ms',
    why: 'how long a run through TensorFlow.js keeps the thread before others get their turn',
  },
} as const satisfies Record<string, Limit>;
