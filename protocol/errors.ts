/**
 * The one table of error codes.
 *
 * Every failure a user or a peer can meet has a code here, with what happened, what to do about it, the exit code
 * of the command line, and a paragraph for the reference page. Templates name their details in braces; a thrower
 * that forgets one does not compile. `docs/reference/errors.md` is generated from this table.
 *
 * Details never hold prompts, answers, or any text of a preference pair.
 */

/** 1 unexpected fault · 2 usage or configuration · 3 input data · 4 network · 5 refused by a check · 130 interrupted. */
export type ExitCode = 1 | 2 | 3 | 4 | 5 | 130;

export interface ErrorEntry {
  readonly exit: ExitCode;
  /** One line: what happened. `{name}` is replaced by the detail of that name. */
  readonly what: string;
  /** One line: what to do. */
  readonly fix: string;
  /** A paragraph for the reference page: why it happens and how it is resolved. */
  readonly explain: string;
}

export const ERRORS = {
  UNEXPECTED: {
    exit: 1,
    what: 'unexpected fault: {problem}',
    fix: 'run again with --log-level debug; if it stays, report it with that output',
    explain:
      'A fault that the program did not foresee. The state on disk stays as it was after the last completed step.',
  },
  INTERRUPTED: {
    exit: 130,
    what: 'interrupted; kept: {kept}',
    fix: 'run the same command again to go on',
    explain: 'The command was stopped by Ctrl-C or a termination signal and ended cleanly.',
  },
  DEMO_PROCESS_FAILED: {
    exit: 1,
    what: 'the {name} of the demo ended early: {problem}',
    fix: 'read the reason above; run the demo again, on a machine with 3 GiB of free memory',
    explain:
      'The demo runs an aggregator and its participants as processes of their own. One of them ended before the federation was done; the message holds the error that it printed.',
  },
  DEMO_FOLDER_IN_USE: {
    exit: 2,
    what: '{folder} holds files that no demo wrote',
    fix: 'pass --out with a new folder, or empty this one',
    explain:
      'The demo replaces what an earlier demo left in its output folder, and nothing else. It knows its own folders by the file .prefmesh-demo.',
  },
  DEMO_ADAPTERS_DIFFER: {
    exit: 5,
    what: 'the participants of the demo hold different adapters: {hashes}',
    fix: 'report it with the demo folder: all who verified the same receipts must hold the same adapter',
    explain:
      'Every participant of the demo verifies every receipt and adopts the adapter it names, so all must end with the same bytes. The demo compares their hashes and ends here when they differ.',
  },
  USAGE: {
    exit: 2,
    what: '{problem}',
    fix: '{hint}',
    explain: 'The command line or a configuration value does not fit what the command takes.',
  },
  NODE_TOO_OLD: {
    exit: 2,
    what: 'prefmesh needs Node {needed} or newer; this is Node {found}',
    fix: 'install Node {needed} or newer and run the command with it',
    explain:
      'The program uses what Node 24 brought. In a clone, npm ci brings the pinned Node and every script uses it.',
  },
  CONFIG_FILE: {
    exit: 2,
    what: '{file}: cannot be used as a configuration: {problem}',
    fix: 'make it one JSON object whose keys are flag names without the dashes',
    explain: 'The file given with --config is missing, is not JSON, or holds something other than plain values.',
  },
  LOG_PROBS_NOT_FINITE: {
    exit: 1,
    what: 'pair {id}: its log-probability under {under} is {value}',
    fix: 'check the adapter with prefmesh adapter inspect, and the device with --device cpu',
    explain:
      'A log-probability that is not a finite number means damaged weights, a diverged adapter or a device that computes wrongly. No figure is made from it.',
  },
  JUDGE_UNREACHABLE: {
    exit: 4,
    what: 'the judge at {url} could not be reached: {problem}',
    fix: 'check that it runs and that --judge-url is right, then run again',
    explain: 'The endpoint did not answer after the retries: refused, timed out, too busy (429) or failing (5xx).',
  },
  JUDGE_REFUSED: {
    exit: 4,
    what: 'the judge at {url} refused the request with HTTP status {status}',
    fix: 'check --judge-model and the key in the environment variable named by --judge-key-env',
    explain: 'The endpoint answered with a status that a retry does not change, such as 400, 401, 403 or 404.',
  },
  JUDGE_ANSWER_UNUSABLE: {
    exit: 4,
    what: 'the judge at {url} gave no verdict: {problem}',
    fix: 'choose a model that follows instructions with --judge-model',
    explain: 'A verdict is exactly A, B or TIE. Anything else is asked for again and then given up, never guessed at.',
  },
  CONFIG_KEY: {
    exit: 2,
    what: '{file}: unknown key {key} for the command {command}',
    fix: 'remove it or use one of: {allowed}',
    explain: 'Keys of a configuration file are the flag names of the command it is given to, without the dashes.',
  },
  MODEL_NOT_FOUND: {
    exit: 2,
    what: 'no model at {model}: {problem}',
    fix: 'pass a folder with config.json, *.safetensors and tokenizer.json, the word embedded, or an id fetched with prefmesh model pull',
    explain:
      'A model is a folder in Hugging Face format, the word `embedded` for the model that comes with the package, or the id of a model that `prefmesh model pull` has fetched. The name given is none of these, or the folder lacks one of the files.',
  },
  HUB_UNREACHABLE: {
    exit: 4,
    what: 'the model hub at {endpoint} could not be reached, or broke off: {problem}',
    fix: 'check the network and the address (--endpoint, HF_ENDPOINT), then run the same command again; what came is kept',
    explain:
      'The hub, or the host that it sends files from, was asked several times in a row without a single new byte. What was received lies in the data folder, and the next pull goes on from there. Behind a proxy, set NODE_USE_ENV_PROXY=1 besides HTTPS_PROXY.',
  },
  HUB_BUSY: {
    exit: 4,
    what: '{endpoint} turns requests away with HTTP status {status}',
    fix: 'wait {waiting}, then run the same command again; what came is kept. With a token (HF_TOKEN) a hub allows more',
    explain:
      'The hub limits how often it is asked (429), or is out of order (5xx). Short waits that it asks for are kept by the program itself.',
  },
  HUB_MODEL_MISSING: {
    exit: 2,
    what: 'there is no model {model} at {endpoint}, or it is private',
    fix: 'check the id on the page of the model; for a private one set HF_TOKEN or pass --token-file',
    explain:
      'A hub answers the same for a repository that does not exist and for a private one that the token, or its absence, does not open.',
  },
  HUB_REVISION_MISSING: {
    exit: 2,
    what: 'the model {model} has no revision {revision}',
    fix: 'pass --revision with a branch, tag or commit that its page lists, or leave it out for main',
    explain: 'The repository exists, but none of its branches, tags or commits has this name.',
  },
  HUB_GATED: {
    exit: 5,
    what: 'the maker of {model} gives it out only to those who agreed to its terms',
    fix: 'read and agree to the terms at {page}, then set HF_TOKEN or pass --token-file with a token of that account',
    explain:
      'Gated models need an account that has agreed to the terms on the page of the model, and sometimes the consent of the maker too, which takes a while. Reading the repository must be allowed to the token.',
  },
  HUB_TOKEN_REFUSED: {
    exit: 2,
    what: 'the hub at {endpoint} does not accept the token',
    fix: 'make a new token with read access, then set HF_TOKEN or pass --token-file; or go without for a public model',
    explain: 'The token is mistyped, has run out, was withdrawn, or belongs to another hub.',
  },
  HUB_REFUSED: {
    exit: 4,
    what: 'the hub at {endpoint} refuses {model} with HTTP status {status}: {said}',
    fix: 'read the reason that it gives; the page of the model may say more',
    explain: 'The hub answered with a status that a retry does not change, for instance for a disabled repository.',
  },
  HUB_ANSWER_UNUSABLE: {
    exit: 4,
    what: 'the hub at {endpoint} gives an answer that cannot be used: {problem}',
    fix: 'check that --endpoint or HF_ENDPOINT is the address of a model hub; if so, report it',
    explain:
      'An answer is too long, is not JSON, lacks a field, or lists files under names that lead out of their folder. Nothing of it was written.',
  },
  HUB_FILES_UNFIT: {
    exit: 3,
    what: 'the model {model} cannot be used: {problem}',
    fix: 'choose a repository with config.json, tokenizer.json and weights in safetensors',
    explain:
      'A model needs its configuration, its tokenizer and its weights as safetensors. Weights in other formats (.bin, .gguf, ONNX) are not read.',
  },
  HUB_FILE_MISSING: {
    exit: 4,
    what: 'the hub lists {file} of {model} at {revision}, but does not have it',
    fix: 'run the same command again; if it stays, pass another --revision',
    explain: 'The list of files and the files themselves disagree, as in a mirror that is being filled.',
  },
  HUB_FILE_MISMATCH: {
    exit: 5,
    what: '{file} of {model} is not what the hub lists: {problem}',
    fix: 'run the same command again; if it stays, the server or something on the way changes files, use another --endpoint',
    explain:
      "Every file is held against the hash that the hub lists for it: SHA-256 for large files, git's blob hash for the others. The bytes that differ were removed; the other files are kept.",
  },
  PULL_LOCKED: {
    exit: 2,
    what: 'another process is pulling {model} into the same data folder',
    fix: 'wait until it is done',
    explain: 'Two processes must not write the same partial files. The lock ends with the process that holds it.',
  },
  MODEL_CONFIG_INVALID: {
    exit: 3,
    what: '{file}: field {field} {problem}',
    fix: 'fetch the model again, or mend the field',
    explain:
      "A model's config.json could not be read: it is not JSON, or a field is missing or holds a value that makes no sense.",
  },
  MODEL_UNSUPPORTED: {
    exit: 3,
    what: '{file}: {feature} is not supported',
    fix: 'use one of: {supported}',
    explain:
      'The model is of an architecture, or uses a feature of one, that this program does not compute. It refuses rather than compute something else.',
  },
  WEIGHTS_INVALID: {
    exit: 3,
    what: '{file}: tensor {tensor}: {problem}',
    fix: 'fetch the file again; it is cut short, damaged or not safetensors',
    explain:
      'A safetensors file breaks a rule of its format: the header is too long or not JSON, a tensor lies outside the file, overlaps another, has the wrong length for its shape, or is of a dtype that is not read. `(header)` stands for the tensor when the fault is in the header as a whole, and `(index)` when it is in `model.safetensors.index.json`: that names a file outside the folder or one that is missing, or two of its shards hold the same tensor.',
  },
  TENSOR_MISSING: {
    exit: 3,
    what: '{file}: tensor {tensor} is missing',
    fix: 'fetch the model again; this file does not hold all weights that its config.json asks for',
    explain: 'The architecture in config.json needs a tensor that no weight file of the folder holds.',
  },
  TENSOR_SHAPE: {
    exit: 3,
    what: '{file}: tensor {tensor} has shape {shape}, expected {expected}',
    fix: 'use weights and config.json of the same model',
    explain: 'A tensor is there, but its shape is not the one that config.json implies.',
  },
  QUANTIZATION_UNFIT: {
    exit: 2,
    what: 'tensor {tensor} of shape {shape} does not divide into blocks of {scheme}',
    fix: 'use --base-precision full, or the other 4-bit scheme',
    explain:
      'NF4 scales 64 weights at a time and needs matrices of a multiple of 64 weights; int4 scales 32 weights of a row at a time and needs rows of a multiple of 32. All published models of the supported families fit both.',
  },
  TOKENIZER_INVALID: {
    exit: 3,
    what: '{file}: {problem}',
    fix: 'fetch the tokenizer files of this model again',
    explain:
      'tokenizer.json or tokenizer_config.json could not be read, names a token that the vocabulary lacks, or gives a token id that the model has no embedding for.',
  },
  HOME_LOCKED: {
    exit: 2,
    what: 'the data folder {folder} is in use by another prefmesh process ({holder})',
    fix: 'stop that process, or choose another folder with --home',
    explain:
      'A data folder belongs to one long-running process at a time, so that two nodes cannot share an identity or write the same state. The lock is held by the operating system and ends with the process that holds it, also when that process is killed.',
  },
  HOME_UNUSABLE: {
    exit: 2,
    what: 'the data folder {folder} cannot be used: {problem}',
    fix: 'make it a folder that you own and may write, or choose another one with --home',
    explain:
      'The data folder could not be created, is not a folder, or its owner or permissions do not let this user write there.',
  },
  DISK_FULL: {
    exit: 1,
    what: 'no space left to write {file} ({problem})',
    fix: 'free disk space or raise the quota, then run the same command again; what was stored before is intact',
    explain:
      'The disk, the quota or the file-size limit was reached. Files are written beside their final name and renamed when complete, so a full disk never damages what is already stored.',
  },
  STORAGE_FAILED: {
    exit: 1,
    what: 'cannot read or write {file}: {problem}',
    fix: 'check that the path may be written to, and the health of the disk that it is on',
    explain: 'The operating system refused a file operation for a reason other than lack of space.',
  },
  KEY_CORRUPT: {
    exit: 3,
    what: 'the key file {file} is damaged: {problem}',
    fix: 'restore the file from a backup; only if there is none, move it away to start with a new identity',
    explain:
      'The key file holds a seed and the id that follows from it, and the two no longer agree or cannot be read. It is never replaced on its own accord: a new key is a new identity, and the federation would not know it.',
  },
  KEY_MISSING: {
    exit: 3,
    what: 'the data folder has state but its key file {file} is gone',
    fix: 'restore the file from a backup, or start over in a new folder with --home',
    explain:
      'State that belongs to an identity is useless without its key. A new key is made only in a data folder that has no state yet.',
  },
  KEY_EXPOSED: {
    exit: 2,
    what: 'the key file {file} can be read by other users (mode {mode})',
    fix: 'run: chmod 600 {file}',
    explain: 'A private key that others can read is no proof of identity. Secrets are accepted only with mode 0600.',
  },
  BLOB_MISSING: {
    exit: 3,
    what: 'blob {hash} is not stored here',
    fix: 'fetch it from a peer that has it',
    explain:
      'A blob (an update or an adapter, named by its SHA-256) was asked for that this data folder does not hold.',
  },
  BLOB_CORRUPT: {
    exit: 3,
    what: 'blob {hash} was damaged on disk and was moved to {file}',
    fix: 'fetch it again from a peer that has it, and check the disk',
    explain:
      'The stored bytes no longer have the hash they are named by. The damaged file is kept in the quarantine folder for inspection and is not used or served again.',
  },
  BLOB_MISMATCH: {
    exit: 5,
    what: 'the bytes received for blob {hash} have another hash ({actual})',
    fix: 'fetch the blob from another peer; the sender is faulty or lying',
    explain:
      'A blob is accepted only when its SHA-256 is the name it was asked by. Nothing of the received bytes was kept.',
  },
  BLOB_TOO_LARGE: {
    exit: 5,
    what: 'a blob of {size} bytes is over the bound of {limit} bytes',
    fix: 'ask the sender for a blob within the bound that the federation allows',
    explain:
      'Every blob has a bound that is known before any of it is read. A larger one is refused at its declared size.',
  },
  DATABASE_CORRUPT: {
    exit: 3,
    what: 'the database {file} is damaged: {problem}',
    fix: 'restore it from a backup, or move it away (with its -wal and -shm files) to start with empty state',
    explain:
      'The integrity check at opening failed. The file is left as it is: nothing is deleted, repaired or overwritten.',
  },
  DATABASE_NEWER: {
    exit: 2,
    what: 'the database {file} has schema {found}, this program knows schema {known}',
    fix: 'use the newer prefmesh that wrote it',
    explain: 'Schemas only move forward. An older program would misread what a newer one stored, so it refuses.',
  },
  DEVICE_WRONG: {
    exit: 5,
    what: 'device {device} computes wrong values: {value} of the self-test is off by {error}',
    fix: 'use --device cpu, or update the driver of the device and try again',
    explain:
      'Before a device other than the CPU is used, a small training step runs on it and is compared with a plain evaluation. Some drivers and kernels are silently wrong; training on them would neither fail nor learn, so the device is refused.',
  },
  DEVICE_UNAVAILABLE: {
    exit: 2,
    what: 'device {device} cannot be used here: {problem}',
    fix: '{remedy}, or use --device auto',
    explain:
      'The device that was asked for by name is not there, or what it needs is not installed. Nothing is ever computed on another device in its place. docs/how-to/use-a-gpu.md says what each device needs.',
  },
  DEVICE_LOST: {
    exit: 1,
    what: 'device {device} stopped answering: {problem}',
    fix: 'lower --token-budget, so that one computation takes less time; update the driver if it stays',
    explain:
      'The driver gave the device up: after a computation that took longer than the system allows, after sleep, or for want of memory. Nothing on disk was changed; a run with checkpoints goes on with --resume.',
  },
  OUT_OF_MEMORY: {
    exit: 1,
    what: 'device {device} has not enough memory: {problem}',
    fix: 'lower --token-budget or --max-length, or pass --activation-checkpointing true or --base-precision nf4',
    explain:
      'A tensor could not be allocated, or is larger than the device allows. What runs at once is bounded by --token-budget: half of it needs about half of the memory beyond the weights. Activation checkpointing halves that again for a quarter more time, and a 4-bit base shrinks the weights. Where the system has no memory left at all, it may end the process before this error can be told.',
  },
  PRECISION_UNSUPPORTED: {
    exit: 2,
    what: 'device {device} cannot compute in {precision}',
    fix: 'leave --precision out, or use a device that has it',
    explain:
      'Half-precision activations need a device that computes with them. On WebGPU that is the feature shader-f16, which most GPUs have and software drivers lack; TensorFlow.js has none.',
  },
  ENGINE_FAILED: {
    exit: 1,
    what: 'the training engine failed on device {device}: {problem}',
    fix: 'try --device cpu; if it stays, report it with --log-level debug',
    explain:
      'The runtime that executes compiled graphs refused a graph or stopped during a run, for a reason that has no code of its own. Nothing on disk was changed.',
  },
  BAD_IDENTITY: {
    exit: 5,
    what: 'not a usable identity: {problem}',
    fix: 'use the peer id of an Ed25519 key, as printed by prefmesh node status',
    explain:
      'Participants and aggregators are named by the libp2p peer id of an Ed25519 key. Other key types, and the few keys under which anyone can make a signature that fits, are refused.',
  },
  OVERSIZED: {
    exit: 5,
    what: '{what} of {bytes} bytes, at most {limit} are taken',
    fix: 'nothing to do here: the sender is faulty or hostile, and its message was dropped',
    explain: 'Length is the first thing that is checked, before a single byte is decoded.',
  },
  MALFORMED: {
    exit: 5,
    what: '{what} is malformed: {problem}',
    fix: 'check that both sides run the same version of prefmesh; otherwise the sender is faulty',
    explain:
      'The bytes are not the part of MessagePack that travels, or a field is missing, unknown or out of bounds. The reference page of the protocol lists the fields of every message.',
  },
  UNEXPECTED_TYPE: {
    exit: 5,
    what: '{sender} sent another kind of message where {expected} was expected',
    fix: 'check that both sides run the same version of prefmesh',
    explain: 'A signature fits one message type only, and every place takes only the types that belong there.',
  },
  BAD_SIGNATURE: {
    exit: 5,
    what: 'the signature of {sender} does not fit this {what}',
    fix: 'fetch it again from its source; if it stays, it was changed on the way or forged',
    explain: 'The Ed25519 signature over type, sender and payload was not made by the key that the sender is named by.',
  },
  WRONG_FEDERATION: {
    exit: 5,
    what: '{sender} speaks of federation {federation}, which is not this one',
    fix: 'check the federation id that both sides were given',
    explain:
      'Everything names the hash of the manifest that it belongs to. A manifest with changed terms is another federation id.',
  },
  WRONG_RECIPIENT: {
    exit: 5,
    what: 'a message of {sender} is meant for {recipient}',
    fix: 'check the aggregator id in the manifest; otherwise somebody passes on what was said to another',
    explain: 'Requests and replies name the one who is meant, so that they are worth nothing to anyone else.',
  },
  WRONG_REQUEST: {
    exit: 5,
    what: 'a message of {sender} does not answer the request that was made',
    fix: 'ask again; an answer to an earlier request was received',
    explain: 'A reply names the hash of the request it answers, so an old reply cannot stand for a new one.',
  },
  WRONG_ROUND: {
    exit: 5,
    what: '{sender} speaks of round {round}, this is round {expected}',
    fix: 'wait for the next round; the node asks for its terms by itself',
    explain: 'An update counts only in the round that it was made for.',
  },
  EXPIRED: {
    exit: 5,
    what: 'a message of {sender} expired {late} ms ago',
    fix: 'check the clocks of both machines; they may differ by two minutes',
    explain:
      'Messages carry the time until which they count. Late ones are refused, whatever the reason for the delay.',
  },
  NOT_YET_VALID: {
    exit: 5,
    what: 'a message of {sender} was issued {early} ms in the future',
    fix: 'check the clocks of both machines; they may differ by two minutes',
    explain: "The sender's clock is ahead of the receiver's by more than the tolerance.",
  },
  REPLAYED: {
    exit: 5,
    what: 'message {sequence} of {sender} was seen before',
    fix: 'nothing to do here; a sender that tries again signs a new message',
    explain:
      'Senders number their messages upwards, and a receiver takes each number once. A message older than all that are remembered counts as seen.',
  },
  NOT_ADMITTED: {
    exit: 5,
    what: '{sender} is not a member of the federation',
    fix: 'ask the owner of the federation for an invite or a place on its allow-list, then join',
    explain: 'Only members may take part in rounds, and only aggregators of the manifest may run them.',
  },
  INVITE_MISSING: {
    exit: 5,
    what: '{sender} asked to join without an invite',
    fix: 'ask the owner for an invite and pass it with --invite',
    explain: 'The manifest admits those who show an invite.',
  },
  INVITE_NOT_VALID: {
    exit: 5,
    what: 'the invite is signed by {inviter}, who may not invite',
    fix: "ask the federation's owner or an aggregator for an invite",
    explain:
      'The owner and the aggregators of the manifest may sign invites; members may only where the manifest says so, and only while they are members.',
  },
  INVITE_EXPIRED: {
    exit: 5,
    what: 'the invite expired {late} ms ago',
    fix: 'ask for a new invite',
    explain: 'Invites hold for a limited time, so that a forgotten one does not open the door years later.',
  },
  INVITE_USED: {
    exit: 5,
    what: '{sender} shows an invite that another participant has used',
    fix: 'ask for an invite of your own',
    explain: 'An invite is bound to the first key that uses it. That key may show it again.',
  },
  INVITE_REVOKED: {
    exit: 5,
    what: 'the invite of {inviter} was revoked by the owner of the federation',
    fix: 'ask the owner for another invite',
    explain:
      "An invite that nobody has used lets nobody in any more once the owner's list of revocations has its serial, or the key of whoever signed it.",
  },
  INVITER_FULL: {
    exit: 5,
    what: '{inviter} has brought in {most} members, which is as many as one may',
    fix: "ask the federation's owner for an invite, or wait until one of those members leaves",
    explain:
      'Who invites answers for its guests. So that nobody can fill a federation with keys of its own, the members that one inviter has brought in, with those that these have brought in, are bounded by the manifest (admission.guestsPerInviter). The owner is not bound.',
  },
  INVITES_FILE_INVALID: {
    exit: 3,
    what: 'the record of signed invites {file} cannot be read',
    fix: 'restore it from a backup, or move it away; invites that are out still count until they expire',
    explain:
      'The file holds the serials of the invites that this key has signed and that have not expired, so that it signs no more than it may.',
  },
  INVITES_EXHAUSTED: {
    exit: 2,
    what: '{pending} invites of this key have not expired, and {most} are allowed at a time',
    fix: 'wait until one expires, or ask the owner of the federation to invite',
    explain:
      'Everyone but the owner may have as many invites out as it may have guests, by the manifest (admission.guestsPerInviter). More would be refused at the door with INVITER_FULL.',
  },
  KEY_REVOKED: {
    exit: 5,
    what: 'the owner of the federation has revoked the key {participant}',
    fix: "ask the federation's owner why; to come back takes another key (a new --home) and its consent",
    explain:
      "The owner's signed list of revocations names this key. Its updates are not counted from then on, also in a round that is still open, and nothing is served to it. Adapters that it has verified stay its own. A revocation is never taken back.",
  },
  REVOCATIONS_STALE: {
    exit: 5,
    what: 'the list of revocations has version {version}, which does not go on from version {known}, known here',
    fix: "get the newest list from the federation's owner: prefmesh federation revoke prints where it lies",
    explain:
      'Lists of revocations only grow: each has a higher version than the one before, and everything that it had. One that is older, or that leaves somebody out, would let a revoked key in again, and is refused wherever it comes from.',
  },
  REVOCATIONS_MISSING: {
    exit: 5,
    what: 'the list of revocations {hash}, which the receipt of round {round} names, is not to be had',
    fix: 'get it from an aggregator, or from whoever keeps an audit folder of the federation',
    explain:
      'A receipt names the list of revocations that its round was closed under. Without that list nobody can tell whether a revoked key was counted.',
  },
  REVOKED_COUNTED: {
    exit: 5,
    what: 'round {round} counts {sender}, whose key the owner had revoked',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain:
      'An update of a revoked key is not counted in a round that closes under a list with that key, and the key is not asked for an update in any round after.',
  },
  REVOCATIONS_IGNORED: {
    exit: 5,
    what: 'round {round} was not closed under version {version} of the list of revocations, long after it was issued',
    fix: 'do not adopt the adapter; hand the list to the aggregator again, and tell the owner of the federation',
    explain:
      'The verifier holds a newer list of revocations than the receipt names, and the round began more than `revocationGrace` after that list was issued: either the aggregator never got it, or it does not heed it.',
  },
  REVOCATION_UNDELIVERED: {
    exit: 4,
    what: 'no aggregator has taken version {version} of the list of revocations: {problem}',
    fix: 'run the same command again once one is up, or start it with --revocations {file}',
    explain:
      'The list was signed and is kept, but revokes nothing before an aggregator has it. Handing it in again is the same command again.',
  },
  FEDERATION_FULL: {
    exit: 5,
    what: 'the federation has its {limit} participants',
    fix: 'wait until a participant leaves',
    explain: 'The manifest bounds the number of participants.',
  },
  TOO_FEW_PAIRS: {
    exit: 5,
    what: '{pairs} pairs, the federation asks for at least {minimum}',
    fix: 'add more preference pairs before joining',
    explain:
      'An update made from few pairs says much about each of them. A participant below the minimum of the manifest sends nothing.',
  },
  WRONG_OWNER: {
    exit: 5,
    what: "it is not signed by the federation's owner {owner}",
    fix: 'get it from the owner of the federation',
    explain:
      'A manifest or a list of revocations counts only when the key that the manifest names as owner has signed it, and the owner never changes.',
  },
  BROKEN_CHAIN: {
    exit: 5,
    what: '{what} does not follow {previous}',
    fix: 'get the ones in between; if there are none, two histories exist and one is false',
    explain:
      'Manifests and receipts each name the hash of the one before, so that nothing can be dropped, added or changed later.',
  },
  LOG_FORKED: {
    exit: 5,
    what: 'the log of federation {federation} tells two histories: {problem}',
    fix: 'do not go on with this aggregator; show the two signed notes in `prefmesh node status --json` to the owner',
    explain:
      'An aggregator signs how long its log of receipts is and what its Merkle root is. The log may only grow. Two ' +
      'signed checkpoints that cannot both be true prove that somebody was told another history.',
  },
  ADAPTER_NOT_PUBLISHED: {
    exit: 5,
    what: 'the adapter in {adapter} is that of none of the {rounds} published rounds',
    fix: 'check that the audit folder is of the federation the adapter comes from, and that nobody changed the adapter',
    explain:
      'An adapter of a federation is, number for number, what the blob named in a receipt says. One number changed is ' +
      'another adapter, and nobody has vouched for it.',
  },
  INVARIANT_BROKEN: {
    exit: 5,
    what: 'a simulated federation broke what must always hold, with the seeds {seeds}; first {problem}',
    fix: 'run the same command with --seed {seed}, without --seeds and with --trace FILE, and report what it shows: it is a fault of this program',
    explain:
      'The simulator checks after every run that no acknowledged update is lost, that everybody honest holds the same adapter, and more. The same options and seed give the same run, so a fault can be looked at again.',
  },
  VERIFICATION_FAILED: {
    exit: 5,
    what: '{where} is not what it says ({code}): {problem}',
    fix: 'do not use what comes after it; the paragraph on {code} says what it means',
    explain:
      'The first thing that is wrong is named. What hangs on it proves nothing, so nothing after it was checked.',
  },
  NOTHING_TO_VERIFY: {
    exit: 2,
    what: '{target} is no audit folder, no receipt in one, and no adapter',
    fix: 'give the folder that `prefmesh aggregator export` wrote, a file of its receipts, or an adapter with --audit',
    explain: 'What can be verified needs the manifest, the receipts and the blobs to check it by.',
  },
  COSIGNATURES_MISSING: {
    exit: 4,
    what: 'round {round} has {found} of the {required} cosignatures that its federation wants',
    fix: 'wait: it is adopted once enough witnesses have repeated it; ask their owners if they run',
    explain:
      'Witnesses repeat a round from its updates and cosign the log of receipts. The manifest says how many of them a ' +
      'participant waits for before it adopts a round.',
  },
  NOT_A_WITNESS: {
    exit: 5,
    what: 'no witness of the federation has cosigned this checkpoint of its log',
    fix: 'have the owner name the key as a witness in the manifest; cosign the checkpoint that the log has now',
    explain: 'A log takes cosignatures of the witnesses that the manifest names, of its own checkpoints.',
  },
  LOG_TOO_SHORT: {
    exit: 5,
    what: 'the log has fewer than {size} receipts',
    fix: 'ask for the part that exists; a log that was longer before has been cut',
    explain: 'A proof of consistency goes from a shorter log to a longer one.',
  },
  NOT_FINITE: {
    exit: 5,
    what: 'tensor {tensor} holds a value that is not a finite number',
    fix: 'lower the learning rate if the tensor is your own; otherwise its sender is faulty',
    explain:
      'NaN and infinities would spoil an average. In floats they are refused before they are quantised; in a blob the integer -2^31, which is what they turn into, is refused.',
  },
  OUT_OF_RANGE: {
    exit: 5,
    what: 'tensor {tensor} holds a value that does not fit 32 bits at {bits} fixed-point bits',
    fix: 'lower the learning rate; a federation may also choose fewer fixed-point bits',
    explain: 'Values travel as 32-bit integers. One that does not fit is refused, never cut off.',
  },
  WRONG_TENSOR_TABLE: {
    exit: 5,
    what: 'the tensors are not those that the federation trains: {problem}',
    fix: 'check that the adapter has the rank and the targets of the manifest',
    explain: "An update has exactly the names, shapes and scale of the round's factor of the parent adapter.",
  },
  MALFORMED_BLOB: {
    exit: 5,
    what: 'the blob is malformed: {problem}',
    fix: 'fetch it from another peer; the sender is faulty',
    explain: 'A blob has exactly one valid encoding, so that its hash names its value. All else is refused.',
  },
  NORM_OUTLIER: {
    exit: 5,
    what: 'the update is more than ten times as long as is usual in its round',
    fix: 'train with a lower learning rate or fewer steps',
    explain:
      'The robust rule leaves such an update out before it combines the others. The update stands in the receipt as ' +
      'accepted, for its form was right; that it had no say follows from the other updates.',
  },
  EMPTY_UPDATE: {
    exit: 5,
    what: 'the update changes next to nothing, measured by what is usual in its round',
    fix: 'train on pairs that the model can learn from, with a higher learning rate or more steps',
    explain:
      'The robust rule leaves out an update whose effect on the model is less than a millionth of the usual one. ' +
      'Enough of them would make any rule that follows the majority stand still.',
  },
  NORM_EXCEEDED: {
    exit: 5,
    what: 'an update of norm {norm}, the federation takes at most {bound}',
    fix: 'train with the terms of the manifest; otherwise lower the learning rate',
    explain: 'The bound on the L2 norm limits what one participant can do to the adapter in one round.',
  },
  DUPLICATE_UPDATE: {
    exit: 5,
    what: '{sender} has already sent another update in round {round}',
    fix: 'nothing to do: the first update counts',
    explain: 'One update a participant and round. Sending the same one again is harmless and is acknowledged again.',
  },
  WRONG_FACTOR: {
    exit: 5,
    what: '{sender} sent factor {factor}, the round trains {expected}',
    fix: "ask for the round's terms again; the node does so by itself",
    explain: 'All participants of a round train the same factor of the LoRA pairs, or the mean would not be exact.',
  },
  WRONG_PARENT: {
    exit: 5,
    what: '{sender} started from adapter {parent}, the round starts from {expected}',
    fix: "ask for the round's terms again; the node does so by itself",
    explain: 'Updates are differences from one adapter; one from another start cannot be added.',
  },
  NOT_IN_COHORT: {
    exit: 5,
    what: '{sender} is not asked for an update in round {round}',
    fix: 'wait for the next round; members that join during a round take part from the next one on',
    explain: 'The cohort of a round is fixed when it starts.',
  },
  ROUND_CLOSED: {
    exit: 5,
    what: 'round {round} takes no updates: it is {phase}',
    fix: 'wait for the next round',
    explain: 'Updates are taken from the start of training until the deadline, or until everyone has answered.',
  },
  ROUND_NOT_PUBLISHED: {
    exit: 5,
    what: 'there is no receipt of round {round}',
    fix: 'ask again when the round has ended',
    explain: 'A receipt exists once a round is published or skipped.',
  },
  QUORUM_MISSED: {
    exit: 5,
    what: 'round {round} got {accepted} updates, its quorum is {quorum}',
    fix: 'nothing to do: the adapter stays as it was and the next round opens',
    explain: 'A round that too few answered is skipped. The reason stands in its receipt.',
  },
  GATE_REFUSED: {
    exit: 5,
    what: 'the adapter of round {round} loses {loss} points on the root set, at most {limit} are allowed',
    fix: 'nothing to do: the adapter stays as it was and the next round opens',
    explain:
      'A round is published only if its adapter keeps its preference accuracy on the root set, a set of pairs apart from the one that is reported on.',
  },
  EVALUATION_FAILED: {
    exit: 5,
    what: 'the adapter of round {round} gives figures that are not finite',
    fix: 'nothing to do: the adapter stays as it was and the next round opens; a lower learning rate may help',
    explain: 'An adapter that cannot be measured is not published. The reason stands in the receipt of its round.',
  },
  NO_UPDATES: {
    exit: 5,
    what: 'there is no update to aggregate',
    fix: 'give at least one update',
    explain: 'The mean of nothing is not defined.',
  },
  TOO_FEW_UPDATES: {
    exit: 5,
    what: 'rule {rule} needs at least {fewest} updates, and there are {count}',
    fix: 'give more updates, choose another rule, or lower the share of hostile updates that it must hold against',
    explain:
      'A rule that is to hold against hostile updates needs enough honest ones to tell them from. A federation whose ' +
      'quorum is smaller than its rule needs is refused when it is created.',
  },
  TOO_MANY_UPDATES: {
    exit: 5,
    what: 'more than {limit} updates',
    fix: 'split the federation, or combine adapters in steps',
    explain: 'The sum of up to {limit} updates is exact; above, that is not certain.',
  },
  UPDATE_LOST: {
    exit: 5,
    what: 'the stored update of {sender} in round {round} can no longer be read',
    fix: 'check the disk of the aggregator; the round goes on without this update',
    explain:
      'An update was accepted, but its blob was damaged on disk before the round was aggregated and no peer had it.',
  },
  WRONG_AGGREGATOR: {
    exit: 5,
    what: 'it is signed by {sender}, who is no aggregator of the federation',
    fix: 'get it from an aggregator that the manifest names',
    explain: 'Only the aggregators of the manifest may publish rounds, sign the log and acknowledge updates.',
  },
  RECEIPT_TERMS: {
    exit: 5,
    what: 'the receipt does not follow the manifest: {problem}',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain: 'A receipt repeats the rule, factor, quorum and gate of its round. They must be those of the manifest.',
  },
  RECEIPT_ROOT: {
    exit: 5,
    what: "the receipt's Merkle root is not that of the updates that it lists",
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain: 'The root commits the aggregator to its inputs. It is computed from the list as RFC 6962 says.',
  },
  NOT_INCLUDED: {
    exit: 5,
    what: 'the receipt of round {round} leaves out the update of {sender}, or lists it otherwise than acknowledged',
    fix: 'prefmesh node acknowledgements writes the signed acknowledgement: with the receipt it proves the omission',
    explain:
      'An accepted update must be in the receipt of its round, with the hashes that were acknowledged. The acknowledgement is signed by the aggregator, so anyone can check the omission with prefmesh verify --acknowledgements; it shows that a promise was broken, not why.',
  },
  BLOB_UNAVAILABLE: {
    exit: 5,
    what: 'blob {hash} is not at hand, so the round cannot be recomputed',
    fix: 'fetch the blob from the aggregator or another participant',
    explain: 'Recomputing a round takes the parent adapter and every accepted update.',
  },
  ENVELOPE_UNAVAILABLE: {
    exit: 5,
    what: 'the signed message of the update of {sender} is not at hand',
    fix: 'fetch it from the aggregator; without it nobody can tell whether {sender} has sent that update',
    explain:
      'A receipt names every update by the hash of the message that offered it. The message itself shows who signed it.',
  },
  FORGED_UPDATE: {
    exit: 5,
    what: 'the receipt lists an update that {sender} has not sent: {problem}',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain: 'The message that an update was offered with must be signed by its sender and say what the receipt says.',
  },
  INADMISSIBLE_UPDATE: {
    exit: 5,
    what: 'the receipt accepts an update of {sender} that had to be refused: {code}',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain: 'The checks before the arithmetic are part of the rules; everyone who recomputes a round repeats them.',
  },
  WRONG_AGGREGATE: {
    exit: 5,
    what: 'recomputing round {round} gives adapter {found}, the receipt says {expected}',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain:
      'The same updates give the same adapter, bit for bit, on every machine. Another result was not made from them.',
  },
  WRONG_OPTIMIZER_STATE: {
    exit: 5,
    what: 'recomputing round {round} gives optimiser state {found}, the receipt says {expected}',
    fix: 'do not adopt the adapter; tell the owner of the federation',
    explain:
      "What the server optimiser remembers of a round goes into the next one, so it is recomputed like the adapter. Another state was not made from the round's updates.",
  },
  ADAPTER_INVALID: {
    exit: 3,
    what: '{file}: {part} {problem}',
    fix: 'pass a PEFT folder with a LoRA adapter made for this model',
    explain:
      'An adapter folder could not be read: a file or tensor is missing or damaged, a tensor does not fit the model, or adapter_config.json asks for something other than plain LoRA on the projections of a block (DoRA, per-layer ranks, trained embeddings).',
  },
  EXPORT_RANGE: {
    exit: 3,
    what: 'tensor {tensor} holds {value}, which {dtype} cannot hold',
    fix: 'export with --dtype float32, or bfloat16, which has the range of float32',
    explain:
      'A narrower number format ends earlier: float16 at 65504. The value would become an infinity, so nothing is written.',
  },
  EXPORT_UNSUPPORTED: {
    exit: 3,
    what: '{source} cannot be written as {format}: {problem}',
    fix: '{hint}',
    explain:
      'The format, or the program that reads it, has no way to say what this model or adapter does: an unknown way to split text before tokenisation, a family without a name there. What it would load is not what was trained, so nothing is written.',
  },
  ADAPTER_OTHER_BASE: {
    exit: 5,
    what: 'the adapter {adapter} was trained on base {base}; {model} is {hash}',
    fix: 'pass the model that the adapter was trained on',
    explain:
      'An adapter is a difference from one base model and means nothing on another. Adapters written by this program carry the SHA-256 of their base, and it is not the one of the model given.',
  },
  ADDRESS_INVALID: {
    exit: 2,
    what: 'not a peer address: {address}',
    fix: 'write a multiaddr such as /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…, or a peer id',
    explain: 'Addresses are multiaddrs, peers are named by the peer id of an Ed25519 key.',
  },
  PORT_BUSY: {
    exit: 4,
    what: 'cannot listen on {addresses}: the port is in use',
    fix: 'stop the program that holds the port, or choose another one (tcp/0 takes any free port)',
    explain: 'Another program, perhaps another node, listens on the same address and port.',
  },
  LISTEN_FAILED: {
    exit: 4,
    what: 'cannot listen on {addresses}: {problem}',
    fix: 'choose an address of this machine and a port that this user may open',
    explain: 'The operating system refused to open the listening socket.',
  },
  BOOTSTRAP_UNREACHABLE: {
    exit: 4,
    what: 'no bootstrap node answers at {addresses} ({problem})',
    fix: 'check the address and that the node there runs, and that a firewall lets this machine dial it',
    explain:
      'A node enters the network through one address that it knows. None of the given ones could be connected in time. A running node goes on trying.',
  },
  PEER_UNREACHABLE: {
    exit: 4,
    what: 'cannot reach {peer}: {problem}',
    fix: 'check that the peer runs and that its address can be dialled from here',
    explain:
      'No connection or stream to the peer could be opened. Requests that can be repeated are repeated before this is reported.',
  },
  DOCTOR_FOUND: {
    exit: 5,
    what: 'the examination found {problems}',
    fix: 'each is listed above with what to do about it',
    explain:
      'prefmesh doctor looks at devices, models, disk and network, and lists everything that stands in the way of taking part, with its own code and remedy. It ends with this code so that a script notices.',
  },
  PEER_RELAYED: {
    exit: 4,
    what: '{peer} is reached only through a relay that lets {bytes} bytes through; adapters and updates are larger',
    fix: 'give one of the two sides an address that the other can dial (--listen and --announce on a forwarded port), or run a relay of your own with prefmesh relay start --unlimited',
    explain:
      'Two peers behind routers meet through a relay, and a relay of strangers lets only little through: enough for messages, far less than an adapter. The direct connection that both then try for did not come about. Nothing was sent. prefmesh doctor says how this node is reached and what fits; docs/how-to/reach-your-aggregator.md goes through the ways out.',
  },
  PROTOCOL_UNSUPPORTED: {
    exit: 4,
    what: '{peer} answers but does not offer this service',
    fix: 'check that it is the right peer, that it has the right role, and that both run a compatible version',
    explain:
      'The peer is connected but does not speak the protocol that was asked for; a participant, for one, is no aggregator.',
  },
  PEER_SILENT: {
    exit: 4,
    what: '{peer} did not answer within {wait} ms ({request})',
    fix: 'try again; if it stays, the peer is overloaded or the connection too slow',
    explain: 'Every read and write on the network has a bound. The peer was connected but did not answer within it.',
  },
  STREAM_CUT: {
    exit: 4,
    what: 'the connection to {peer} was cut ({request})',
    fix: 'run the same command again; transfers go on where they stopped',
    explain: 'The peer or the network between closed the stream before the answer was complete.',
  },
  PEER_REFUSED: {
    exit: 5,
    what: '{peer} refused: {code} ({request})',
    fix: 'look up {code} on the errors page; it says why the peer refused',
    explain:
      'The peer answered with an error code instead of what was asked for. The code means there what it means here.',
  },
  FILE_MISSING: {
    exit: 2,
    what: '{file} is missing, or is not a regular file',
    fix: 'check the path',
    explain: 'A file named on the command line does not exist or is not a regular file.',
  },
  PAIRS_INVALID: {
    exit: 3,
    what: '{file} line {line}, field {field}: {problem}',
    fix: 'mend that line; a pair is a JSON object on one line with prompt, chosen and rejected',
    explain:
      'A line of a pairs file is not a preference pair. Prompt, chosen and rejected are non-empty strings, or all three lists of chat messages `{"role", "content"}`; ids are unique within a file. `(line)` stands for the field when the line as a whole is at fault. The message never shows text of the pair.',
  },
  PAIRS_NONE: {
    exit: 3,
    what: '{file} holds no usable pair: {problem}',
    fix: 'pass a file with at least one pair that fits the maximum length',
    explain:
      'The pairs file is empty, or every pair in it was left out because its prompt leaves no room for an answer or its two answers are the same.',
  },
  CHAT_TEMPLATE: {
    exit: 3,
    what: '{file}: the chat template {problem}',
    fix: 'use pairs of plain strings, or a model with a chat template that fits them',
    explain:
      "Pairs of chat messages are turned into text by the model's own chat template. The model has none, or it could not render the messages, or the rendered conversation does not begin with the rendered prompt, so that prompt and answer cannot be told apart.",
  },
  BLOB_FORBIDDEN: {
    exit: 5,
    what: 'blob {hash} is not for this peer',
    fix: 'join the federation it belongs to, or ask a peer that may pass it on',
    explain:
      'A blob is served to the members it concerns: an update to the aggregators, an adapter to the participants.',
  },
  RATE_LIMITED: {
    exit: 4,
    what: '{peer} asked for too much in too short a time',
    fix: 'wait a little and try again',
    explain:
      'Each peer has an allowance of requests and bytes that refills steadily, so that one cannot starve the others.',
  },
  FEDERATION_UNKNOWN: {
    exit: 4,
    what: 'this peer does not run federation {federation}',
    fix: 'check the federation id, or ask another aggregator',
    explain: 'The peer is an aggregator, but not of the federation that was asked for.',
  },
  FEDERATION_NOT_FOUND: {
    exit: 4,
    what: 'federation {federation} was not found: {problem}',
    fix: 'check the id and the bootstrap address, and that an aggregator of the federation runs',
    explain:
      'The network was asked who serves the federation, and nobody was found who showed a manifest with this hash, signed by its owner, that names the peer as aggregator.',
  },
  TICKET_INVALID: {
    exit: 2,
    what: 'the ticket cannot be read: {problem}',
    fix: 'paste the whole line that prefmesh federation invite printed, or pass the federation file',
    explain:
      'A ticket is one line of text that begins with `prefmesh:` and holds the federation id, addresses and maybe an invite. A part of it was lost or changed on the way.',
  },
  FEDERATION_FILE_INVALID: {
    exit: 3,
    what: '{file}: not a federation file that can be trusted: {problem}',
    fix: 'get the file again from the owner of the federation',
    explain:
      "A federation file is the manifest's signed envelope, byte for byte. This one is cut, changed, not signed by the owner it names, or another federation's.",
  },
  SETS_OVERLAP: {
    exit: 3,
    what: 'pair {other} of {first} and pair {id} of {second} have the same prompt',
    fix: 'take the prompt out of one of the two files',
    explain:
      'The evaluation set is reported and the root set decides whether a round is published. If they shared prompts, the reported figures would be of what was selected for.',
  },
  PAIR_SET_MISMATCH: {
    exit: 3,
    what: '{file} has SHA-256 {hash}, but the federation is measured on {expected}',
    fix: 'pass the file that the federation was created with, unchanged',
    explain:
      'The manifest commits to the evaluation set and the root set by the hash of their files, so that an aggregator cannot measure on other pairs than everyone agreed to.',
  },
  BASE_MODEL_MISMATCH: {
    exit: 5,
    what: 'the federation trains {name} with hash {expected}; the model {model} here has hash {hash}',
    fix: 'pass the right model with --model, or fetch it again',
    explain:
      'An adapter belongs to exactly one base model, named in the manifest by the hash of its weights, configuration and tokenizer. With another one, updates would be noise to everybody else.',
  },
  INITIAL_ADAPTER_MISMATCH: {
    exit: 5,
    what: 'the initial adapter comes out as {hash}, the manifest names {expected}',
    fix: 'use the version of prefmesh that created the federation',
    explain:
      'The adapter that round 1 starts from is made again from the seed in the manifest. Another hash means that this program draws it differently from the one that created the federation.',
  },
  CONSENT_MISSING: {
    exit: 5,
    what: 'nothing leaves this machine without your consent to the terms of federation {federation}',
    fix: 'read the terms above, then join again with --consent {federation}',
    explain:
      "Joining a federation means that adapter updates trained on your pairs are sent to its aggregator. The consent names the manifest's hash, so it covers these terms and no others.",
  },
  CONSENT_MISMATCH: {
    exit: 5,
    what: 'the consent is for {consent}, these are the terms of federation {federation}',
    fix: 'read the terms that are shown, then pass their hash with --consent',
    explain: 'A consent covers exactly one manifest. This one was given for other terms.',
  },
  PAIRS_CHANGED: {
    exit: 3,
    what: '{file} is not the file that you joined with: its SHA-256 is {hash}, it was {expected}',
    fix: 'run prefmesh node join again to take part with the file as it is now',
    explain:
      'The pairs file stays where it is and is known by its hash. It changed since the node joined, and what is trained on is decided by you, not by whatever lies there.',
  },
  NOT_JOINED: {
    exit: 2,
    what: 'the data folder {folder} has no membership {which}',
    fix: 'join first: prefmesh node join FEDERATION --pairs FILE',
    explain: 'The command works on a federation that this node has joined, and it has not, or has left it.',
  },
  SEVERAL_FEDERATIONS: {
    exit: 2,
    what: 'this node has joined several federations: {federations}',
    fix: 'say which one with --federation',
    explain: 'One process takes part in one federation. A node that joined several has to be told which.',
  },
  AGGREGATOR_STANDS_BY: {
    exit: 4,
    what: 'this aggregator waits while another runs the federation',
    fix: 'nothing; a participant asks the next one of the manifest by itself',
    explain:
      'Of several aggregators one runs the rounds; the others copy its log and take over when it can no longer be reached. Until then they refuse participants with this code.',
  },
  AGGREGATOR_BEHIND: {
    exit: 4,
    what: 'aggregator {aggregator} is in round {round}, this node has verified up to round {verified}',
    fix: 'nothing, while an aggregator that knows the later rounds may come back; else ask the owner of the federation',
    explain:
      'An aggregator took over without the last receipt of the one before it, which stopped before anybody had copied it. A node that has verified a round does not go back behind it; it waits for an aggregator that has it.',
  },
  OTHER_HISTORY: {
    exit: 4,
    what: 'aggregator {aggregator} goes on from another history than the {verified} rounds that this node has verified',
    fix: 'nothing, while an aggregator of the history of this node may come back; else ask the owner of the federation',
    explain:
      'Two aggregators that could not reach each other both ran the federation, so there are two histories of it. A node follows the one that it has verified, passes over an aggregator of the other, and adopts nothing from it.',
  },
  STALE_AGGREGATOR: {
    exit: 5,
    what: 'aggregator {aggregator} has gone on with federation {federation} further than this one',
    fix: 'start this one again: it copies the rounds that it missed and stands by',
    explain:
      'An aggregator that was cut off or stopped for a while finds that another has taken over. What it published meanwhile goes on from a round that nobody follows, so it stops before it publishes more.',
  },
  NOT_THE_AGGREGATOR: {
    exit: 5,
    what: "this node's key {id} is no aggregator of the federation; those are {aggregators}",
    fix: 'start it with the --home whose key the manifest names, or create the federation with this key',
    explain:
      'The manifest lists by their keys who may run its rounds. Participants would refuse every word of another one.',
  },
  JOIN_REFUSED: {
    exit: 5,
    what: 'the aggregator does not let this node into federation {federation}: {code}',
    fix: 'look up {code} on the errors page; it says what the federation asks of who joins',
    explain:
      'The aggregator answered the request to join with a signed refusal. Its code says why: the key is not on the list, the invite is used, expired or missing, there are too few pairs, or the federation is full.',
  },
  FACTOR_DIFFERS: {
    exit: 3,
    what: '{folder}: tensor {tensor} is not the same as in the others',
    fix: 'combine adapters that were trained on the named factor alone, or use another rule',
    explain:
      'The mean of one LoRA factor is the mean of the products only where the other factor is the same for all. A rule that combines one factor refuses adapters whose other factor differs.',
  },
  TERMS_REFUSED: {
    exit: 5,
    what: 'the aggregator asks for a round that does not follow from what was verified: {problem}',
    fix: 'tell the owner of the federation; the node takes no part until the terms are right again',
    explain:
      'A participant trains only from the adapter that it has verified itself, on the factor that the manifest gives to the round, and after the receipt that it has seen. The signed terms of the round say otherwise.',
  },
  TRAINING_DIVERGED: {
    exit: 2,
    what: 'training diverged: loss or gradient are not finite at step {step}',
    fix: 'lower --learning-rate, or raise --warmup',
    explain:
      'The steps were so large that numbers overflowed. Nothing was written over the last saved state. A rate ten times lower usually mends it; gradient clipping (--max-grad-norm) must be on.',
  },
  RESUME_MISMATCH: {
    exit: 2,
    what: '{file} belongs to a run with other settings: {differences}',
    fix: 'give the same model, pairs and settings as before, or train without --resume into another folder',
    explain:
      'A run can only be resumed with everything that decides its course unchanged: base model, pairs, initial and reference adapter, settings, device, threads and seed. What differs is named, with the value of the saved run first. To train further than a finished run went, start a new one from its adapter with `--init-adapter`.',
  },
  CHECKPOINT_DAMAGED: {
    exit: 3,
    what: '{file} cannot be resumed from: {problem}',
    fix: 'train without --resume, into the same folder or another',
    explain:
      'A run keeps its last two states in the folder `checkpoints` of `--out`, each with the hash of its content. One that does not match is passed over with a note, and the run goes on from the one before; here none was whole. Nothing was changed.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** The names in braces of a template: `'{file}: line {line}'` has `'file' | 'line'`. */
type Names<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;

/** The details that a code's templates ask for. */
export type ErrorDetails<Code extends ErrorCode> = Readonly<
  Record<Names<(typeof ERRORS)[Code]['what']> | Names<(typeof ERRORS)[Code]['fix']>, string | number>
>;

/**
 * A failure with a code of the table. Match on `code`, never on the text.
 *
 * @example throw new PrefmeshError('USAGE', { problem: '--rank must be positive', hint: 'pass --rank 16' });
 */
export class PrefmeshError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'PrefmeshError';
  readonly code: Code;
  readonly fix: string;
  readonly exitCode: ExitCode;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(code: Code, details: ErrorDetails<Code>, options?: ErrorOptions) {
    const entry: ErrorEntry = ERRORS[code];
    super(fill(entry.what, details), options);
    this.code = code;
    this.fix = fill(entry.fix, details);
    this.exitCode = entry.exit;
    this.details = details;
  }
}

/** Whether a thrown value is a `PrefmeshError`, optionally with one given code. */
export function isPrefmeshError<Code extends ErrorCode>(error: unknown, code?: Code): error is PrefmeshError<Code> {
  return error instanceof PrefmeshError && (code === undefined || error.code === code);
}

function fill(template: string, details: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name]));
}
