/** By planted bug: the first seed whose world finds it, and by which property. A bug that is not named is found by a directed situation. */
export const KILLING_SEEDS: Readonly<Record<string, number>> = {
  "adopt-without-equality": 1, // X3
  "checksum-off": 1, // S13
  "count-repeated-frames": 4, // S1
  "cursor-moves-when-sent": 15, // L2
  "deletion-arrives-as-row": 1, // S14
  "deletions-not-listed": 1, // S6
  "holder-stops-late": 2, // E1
  "image-checksum-off": 47, // S13
  "image-one-row-short": 2, // S12
  "join-on-last-frame": 2, // S1
  "knowledge-after-list": 1, // S5
  "leader-change-forgets-pulls": 1, // L1
  "leader-does-not-look": 2, // E1
  "lease-by-wall-clock": 5, // E1
  "left-for-ever": 5, // L8
  "lost-poll-not-repeated": 1, // L1
  "merge-keeps-shard-version": 1, // X3
  "merge-order-by-writer": 1, // V7
  "no-write-during-a-pull": 1, // L6
  "relay-is-silent": 1, // L1
  "renewed-when-it-is-over": 5, // E4
  "resend-forgets-first": 2, // L8
  "responder-learns-from-asker": 1, // S16
  "retry-by-chance": 1, // I6
  "reuse-writer-id": 1, // V5
  "shard-counter-goes-back": 1, // X3
  "state-left-behind": 1, // X9
  "successor-waits-too-long": 2, // E3
  "values-of-another-row": 1, // S3
  "waiting-shards-forgotten": 1, // L1
};
