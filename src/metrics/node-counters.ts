/** What a node counts, for `stats()`. Plain numbers: one thread writes them, and hands out copies when asked. */
export interface NodeCounters {
  /** Puts coordinated, gets coordinated, pages of scans coordinated. */
  puts: number;
  gets: number;
  pages: number;
  /** Operations refused because too many were under way. */
  refused: number;
  /** Operations that failed: too few answers, or none in time. */
  failed: number;
  /** Versions minted here. */
  minted: number;
  /** Those of them with 1 MiB and more, and those that left 25 siblings and more. */
  largeValues: number;
  manySiblings: number;
  /** Objects stored for other coordinators, replication and repair alike. */
  replicated: number;
  /** Replica reads answered. */
  reads: number;
  /** Stale replicas that a read found and repaired. */
  readRepairs: number;
  /** Repairs that were not made because enough were under way. */
  readRepairsShed: number;
  /** Requests to replicas that were slower than usual, so that somebody else was asked, too. */
  hedges: number;
  /** Digests that differed, so that a full object was fetched. */
  digestMismatches: number;
  /** Records that failed their checksum; never served. */
  corruptRecords: number;
  /** Those of them that were fetched from another replica as soon as they were found. */
  rotHealed: number;
  /** Records that the node keeps for itself (fences, markers, lives) and could not read any more: held for lost. */
  corruptOwnRecords: number;
  /** Attempts that came a second time and were not minted again. */
  repeatedAttempts: number;
  /** Commits that failed. */
  failedCommits: number;
  /** Writes refused, unread, while commits fail. */
  writesRefused: number;
  /** 1 while commits fail, so that writes are refused: because there is no room, or for another reason. Else 0. */
  diskFull: number;
  diskFailing: number;
  /** Times a vnode drew a new identity because its old one was in doubt. */
  newIdentities: number;
  /** Contexts that named this node's writers beyond their counters: a copy of this data has been alive elsewhere. */
  identityAlarms: number;
  /** Timestamps further ahead of the clock than it follows. */
  clockRefusals: number;
  /** Writes kept, and versions minted, here for an owner that was out of reach. */
  hintsKept: number;
  /** Hints refused because there was no room for them. */
  hintsRefused: number;
  /** Hints that their owners have taken, and that were deleted upon that. */
  hintsDelivered: number;
  /** Deliveries of a hint that its owner refused: by a tag below its floor, or a format that it does not know. */
  hintsUndeliverable: number;
  /** Hints found unreadable, and set aside. */
  hintsSetAside: number;
  /** Hints taken over from stand-ins. */
  hintsTaken: number;
  /** Exchanges that this node led: all, also those that came to no end, and those that found every key equal. */
  exchanges: number;
  exchangesEqual: number;
  /** Keys that exchanges led here found different, and those that they had merged on both sides. */
  exchangeKeysFound: number;
  exchangeKeysRepaired: number;
  /** What exchanges led here had moved: questions, answers, objects. */
  exchangeBytes: number;
  /** When the last exchange led here ended that had compared its two replicas, in wall-clock milliseconds; 0: none has. */
  lastExchangeAtMs: number;
  /**
   * For how long a replica of this node has not been found equal to one of another node, in milliseconds: of all such
   * pairs, whoever leads their exchanges, the longest. Since the node's start, if it never was.
   */
  exchangeLagMs: number;
  /** Merkle trees of replicas that were built from their records; taken over from the last stop; found damaged then. */
  treesBuilt: number;
  treesRestored: number;
  treesDamaged: number;
  /** Objects refused because they were read before something was reaped here. */
  staleRefused: number;
  /** Tombstones and expired values that were reaped from this node's replicas. */
  tombstonesReaped: number;
  /** Contexts that were reduced, of objects of this node's replicas that live. */
  contextsReduced: number;
  /** Rounds of reaping that this node led: all, and those that were abandoned for want of an answer. */
  reapRounds: number;
  reapRoundsAbandoned: number;
  /** When the last round led here that reaped something ended, in wall-clock milliseconds; 0: none has. */
  lastReapAtMs: number;
  /** Replicas that were found taken back to an older state, and emptied to be refilled. */
  replicasDiscarded: number;
  /** Jumps of the wall clock that were not followed at once, and those of them that lasted and were. */
  clockJumps: number;
  clockJumpsFollowed: number;
}

export function newNodeCounters(): NodeCounters {
  return {
    puts: 0,
    gets: 0,
    pages: 0,
    refused: 0,
    failed: 0,
    minted: 0,
    largeValues: 0,
    manySiblings: 0,
    replicated: 0,
    reads: 0,
    readRepairs: 0,
    readRepairsShed: 0,
    hedges: 0,
    digestMismatches: 0,
    corruptRecords: 0,
    rotHealed: 0,
    corruptOwnRecords: 0,
    repeatedAttempts: 0,
    failedCommits: 0,
    writesRefused: 0,
    diskFull: 0,
    diskFailing: 0,
    newIdentities: 0,
    identityAlarms: 0,
    clockRefusals: 0,
    hintsKept: 0,
    hintsRefused: 0,
    hintsDelivered: 0,
    hintsUndeliverable: 0,
    hintsSetAside: 0,
    hintsTaken: 0,
    exchanges: 0,
    exchangesEqual: 0,
    exchangeKeysFound: 0,
    exchangeKeysRepaired: 0,
    exchangeBytes: 0,
    lastExchangeAtMs: 0,
    exchangeLagMs: 0,
    treesBuilt: 0,
    treesRestored: 0,
    treesDamaged: 0,
    staleRefused: 0,
    tombstonesReaped: 0,
    contextsReduced: 0,
    reapRounds: 0,
    reapRoundsAbandoned: 0,
    lastReapAtMs: 0,
    replicasDiscarded: 0,
    clockJumps: 0,
    clockJumpsFollowed: 0,
  };
}
