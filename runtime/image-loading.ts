import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { type StoredImage, type StoredSegment } from "./file-store-protocol.ts";
import { type ImagePlace, readImageFile } from "./image-files.ts";
import { openSegment } from "./segment-files.ts";

/** Why an image, or what it has from some segment on, cannot be used. */
export interface ImageProblem {
  readonly age: "current" | "previous";
  readonly error: Error;
}

export interface LoadedImages {
  /** Newest first; of each as many segments as can be used, and one at least. */
  readonly images: readonly StoredImage[];
  /** The current image, where an increment may follow it: it can be used to its end. */
  readonly segments: readonly NamedSegment[];
  readonly problems: readonly ImageProblem[];
}

/** Finds the images of a name, and how each is to be read. Blocks are not looked at. */
export async function loadImages(place: ImagePlace): Promise<LoadedImages> {
  const images: StoredImage[] = [];
  const problems: ImageProblem[] = [];
  let current: readonly NamedSegment[] = [];
  for (const age of ["current", "previous"] as const) {
    try {
      const file = await readImageFile(place, age);
      if (file?.kind === "piece") images.push(file);
      if (file?.kind !== "manifest") continue;
      const { segments, problem } = await openSegments(place, file.segments);
      if (problem !== undefined) problems.push({ age, error: problem });
      else if (age === "current") current = file.segments;
      if (segments.length > 0) images.push({ kind: "segments", segments, isDamaged: problem !== undefined });
    } catch (error) {
      problems.push({ age, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
  return { images, segments: current, problems };
}

/** The segments up to the first that cannot be used. */
async function openSegments(
  place: ImagePlace,
  named: readonly NamedSegment[],
): Promise<{ segments: StoredSegment[]; problem: Error | undefined }> {
  const segments: StoredSegment[] = [];
  for (const segment of named) {
    try {
      segments.push(await openSegment(place, segment));
    } catch (error) {
      return { segments, problem: error instanceof Error ? error : new Error(String(error)) };
    }
  }
  return { segments, problem: undefined };
}
