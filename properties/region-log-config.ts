import { type StateManagerConfig } from "../actors/state-manager.ts";
import { FIRST, OWN, REGIONS } from "./region-logs.ts";

/** Of the state manager of the own region. */
export const CONFIG: StateManagerConfig = {
  region: OWN,
  regions: REGIONS,
  training: FIRST,
  full: REGIONS,
  mayTrain: true,
  trainer: "a",
  nodes: [],
  models: [],
  stream: { region: OWN, kind: "stream", id: "a" },
  holdings: [],
  tells: {
    mayTrain: true,
    shards: [],
    leader: { region: OWN, kind: "leader", id: "a" },
    trainers: [],
    settleMs: 60_000,
  },
  windowMs: 60_000,
  quality: { windowMs: 60_000, windows: 2, calibration: { low: 0.5, high: 2 } },
};
