/** One official release: where its archives lie, and what each must hash to. */
export interface ReleasePins {
  readonly version: string;
  /** The archives lie at `<baseUrl>/v<version>/<archive>`. */
  readonly baseUrl: string;
  /** Keys are `<process.platform>-<process.arch>`. What is not listed is not fetched. */
  readonly archives: Readonly<Record<string, ArchivePin>>;
}

/** One archive by name, with the SHA-256 of its bytes in hexadecimal. */
export interface ArchivePin {
  readonly archive: string;
  readonly sha256: string;
}

/**
 * The release that is fetched where no package manager gives one. The sums were collected from build files of others that pin this
 * release (for linux-x64 and windows-x64 those of the official container images), each from two places at least that agree.
 */
export const pinnedRelease: ReleasePins = {
  version: "2.14.0",
  baseUrl: "https://github.com/nats-io/nats-server/releases/download",
  archives: {
    "linux-x64": {
      archive: "nats-server-v2.14.0-linux-amd64.tar.gz",
      sha256: "3d8b74dfad39af184c765a6dd120441ed1c648d6672eddf6b304f222661251b8",
    },
    "linux-arm64": {
      archive: "nats-server-v2.14.0-linux-arm64.tar.gz",
      sha256: "ce7dc5f7d97b70dabc38b13157fed28d7d06227860676143c15c62c5c297996c",
    },
    "darwin-x64": {
      archive: "nats-server-v2.14.0-darwin-amd64.tar.gz",
      sha256: "c307afaa5810dea24bfe5bb0cd895ddc7c47946f359823336ef3be1a41bdddfa",
    },
    "darwin-arm64": {
      archive: "nats-server-v2.14.0-darwin-arm64.tar.gz",
      sha256: "36f28cf166e5ae5dd88d700a609c810b97ffad641e0c51b49cf8fae25fb3fac7",
    },
    "win32-x64": {
      archive: "nats-server-v2.14.0-windows-amd64.zip",
      sha256: "09ba382669cc4df390f97f16f08481f040eef0bb17ca5f2d71104b4be4cd613a",
    },
  },
};
