/** A nats-server version as `nats-server -v` prints it; `text` has no leading "v". */
export interface NatsVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** True for anything with a suffix, such as 2.14.0-RC.1 or 2.14.0-dev: it counts as older than the release. */
  readonly prerelease: boolean;
  readonly text: string;
}

/** The oldest nats-server that is accepted; everything here is tested on it and on nothing older. */
export const oldestVersion = "2.9.0";

/** Reads the version out of the output of `nats-server -v`, or undefined when that is not what it is. */
export function parseVersion(output: string): NatsVersion | undefined {
  const match = /^(?:nats-server: )?v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})([-+][0-9A-Za-z.+-]{1,64})?\s*$/.exec(output);
  if (match === null) {
    return undefined;
  }
  const [, major, minor, patch, suffix = ""] = match;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    prerelease: suffix.startsWith("-"),
    text: `${major}.${minor}.${patch}${suffix}`,
  };
}

/** Negative when `left` is older than `right`, positive when newer, zero when neither. */
export function compareVersions(left: NatsVersion, right: NatsVersion): number {
  return (
    left.major - right.major ||
    left.minor - right.minor ||
    left.patch - right.patch ||
    Number(right.prerelease) - Number(left.prerelease)
  );
}

/** True when `version` is `bound` ("2.10.0") or newer. */
export function isAtLeast(version: NatsVersion, bound: string): boolean {
  const parsed = parseVersion(bound);
  if (parsed === undefined) {
    throw new RangeError(`Cannot compare versions: ${JSON.stringify(bound)} is none`);
  }
  return compareVersions(version, parsed) >= 0;
}

/**
 * The first release that closes the published security holes of this version's line, or undefined when this version has
 * none that we know of. Lines older than 2.11 are no longer mended, so the answer for them is the current line.
 */
export function mendedIn(version: NatsVersion): string | undefined {
  const bound =
    version.major === 2 && version.minor === 11
      ? "2.11.16"
      : version.major === 2 && version.minor === 12
        ? "2.12.7"
        : "2.14.0";
  return isAtLeast(version, bound) ? undefined : bound;
}

/** True where JetStream can write each message to the disk before acknowledging it (`sync_interval: always`). */
export function canSyncAlways(version: NatsVersion): boolean {
  return isAtLeast(version, "2.10.0");
}
