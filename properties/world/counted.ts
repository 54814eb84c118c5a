// Under which name each is counted: names are not built anew at each count.

export const SENT = {
  pull: "sent pull",
  more: "sent more",
  release: "sent release",
  refuse: "sent refuse",
  orphans: "sent orphans",
  frame: "sent frame",
  survey: "sent survey",
  report: "sent report",
} as const;

export const PULLED_AS = {
  leader: "pull as the leader",
  follower: "pull from the leader",
  itself: "pull for itself",
} as const;

export const APPLIED = {
  local: "applied local",
  peer: "applied peer",
  urgent: "applied urgent",
  orphan: "applied orphan",
} as const;

export const TOLD = {
  grant: "frames granted",
  hurry: "standing pull hurried",
  "give-up": "pull given up",
} as const;
