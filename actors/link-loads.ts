import { framesAllowed } from "../protocols/sync/link-window.ts";
import { framesInFlight } from "../protocols/sync/links.ts";
import { type Poller } from "../protocols/sync/poll.ts";
import { type Metrics } from "../runtime/actor.ts";
import { type LinkLoad } from "./leader-protocol.ts";

/** What pulls make of each link now. */
export function linkLoads({ lanes }: Poller): LinkLoad[] {
  return [...lanes.values()].map(({ link, short, long }): LinkLoad => {
    const { latencyMs, bytesPerSecond, frameBytes } = link.window;
    return {
      peer: link.name,
      pulls: {
        windowFrames: framesAllowed(link.window),
        bytesInFlight: Math.round(framesInFlight(link) * frameBytes),
        running: link.pulls.size,
        waiting: short.size + long.size,
        ...(bytesPerSecond !== undefined && { bytesPerSecond: Math.round(bytesPerSecond) }),
        ...(latencyMs !== undefined && { roundTripMs: latencyMs }),
        ...(link.budget !== undefined && { budget: link.budget.bytesPerSecond }),
      },
    };
  });
}

/** Keeps the gauges of one link. */
export function showLoad(metrics: Metrics, { peer, pulls }: LinkLoad): void {
  const labels = { peer };
  metrics.gauge("freshet_pull_window_frames", pulls.windowFrames, labels);
  metrics.gauge("freshet_pull_in_flight_bytes", pulls.bytesInFlight, labels);
  metrics.gauge("freshet_pulls_running", pulls.running, labels);
  metrics.gauge("freshet_pulls_waiting", pulls.waiting, labels);
  if (pulls.bytesPerSecond !== undefined) {
    metrics.gauge("freshet_pull_throughput_bytes_per_second", pulls.bytesPerSecond, labels);
  }
  if (pulls.roundTripMs !== undefined) {
    metrics.gauge("freshet_pull_round_trip_seconds", pulls.roundTripMs / 1000, labels);
  }
}
