/** Where a stranger gets data in the formats that are understood. */
export const CLICK_FILES = [
  'clicks_hour_*.csv.gz, from Kaggle "News Portal User Interactions by Globo.com" (gzip each file of its clicks folder; .csv is read as well)',
  'ratings.csv and movies.csv, from GroupLens "ml-latest-small" or another MovieLens release with these files',
] as const;

/** A folder holds no data set that is known. */
export class UnknownDataFormat extends Error {
  override readonly name = "UnknownDataFormat";
  readonly folder: string;
  readonly why: string;

  constructor(folder: string, why: string) {
    super(
      `Cannot read data from ${JSON.stringify(folder)}: ${why}. It must hold one of:\n  - ${CLICK_FILES.join("\n  - ")}`,
    );
    this.folder = folder;
    this.why = why;
  }
}

/** A data file cannot be read to its end, or is not what its name says. */
export class UnreadableDataFile extends Error {
  override readonly name = "UnreadableDataFile";
  readonly path: string;

  constructor(path: string, why: string, options?: ErrorOptions) {
    super(`Cannot read data file ${JSON.stringify(path)}: ${why}`, options);
    this.path = path;
  }
}

/** Files were read, and not one line of them is usable. */
export class NoUsableData extends Error {
  override readonly name = "NoUsableData";
  readonly folder: string;

  constructor(folder: string, why: string) {
    super(
      `Cannot use the data in ${JSON.stringify(folder)}: ${why}. It must hold one of:\n  - ${CLICK_FILES.join("\n  - ")}`,
    );
    this.folder = folder;
  }
}
