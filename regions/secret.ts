import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Secret } from "./config-values.ts";
import { type Environment, stateHome } from "./state-home.ts";

const SECRET_BYTES_MAX = 4096;

/** A secret could not be had from where the config says it is. Holds the place, never the secret. */
export class SecretMissing extends Error {
  override readonly name = "SecretMissing";
  readonly place: string;

  constructor(what: string, place: string, why: string, options?: ErrorOptions) {
    super(`Cannot read ${what} from ${place}: ${why}`, options);
    this.place = place;
  }
}

/** Reads a secret now. `what` names it in errors ("the password for region oregon"). One line break at the end of a file is not part of it. */
export async function resolveSecret(
  secret: Secret,
  options: { readonly what: string; readonly env?: Environment },
): Promise<string> {
  const { what, env = process.env } = options;
  switch (secret.kind) {
    case "env": {
      const value = env[secret.name] ?? "";
      if (value === "") {
        throw new SecretMissing(what, `the environment variable ${secret.name}`, "it is not set, or empty");
      }
      return checked(value, { what, place: `the environment variable ${secret.name}` });
    }
    case "file":
      return readSecret(secret.path, what);
    case "shared":
      await makeShared(secret.path, what);
      return readSecret(secret.path, what);
  }
}

/** Where the password lies with which `grantee` connects to `grantor` when neither config names one. Only this user can read it. */
export function sharedSecret(ends: { readonly grantor: string; readonly grantee: string }, env?: Environment): Secret {
  return { kind: "shared", path: join(stateHome(env), "links", `${ends.grantee}-at-${ends.grantor}`) };
}

async function readSecret(path: string, what: string): Promise<string> {
  try {
    const { size, mode } = await stat(path);
    if (size > SECRET_BYTES_MAX) {
      throw new SecretMissing(what, path, `it has ${size} bytes, more than ${SECRET_BYTES_MAX}`);
    }
    if (process.platform !== "win32" && (mode & 0o007) !== 0) {
      throw new SecretMissing(
        what,
        path,
        `every user of this machine may read it; run: chmod 600 ${JSON.stringify(path)}`,
      );
    }
    const text = (await readFile(path, "utf8")).replace(/\r?\n$/, "");
    return checked(text, { what, place: path });
  } catch (error) {
    if (error instanceof SecretMissing) throw error;
    throw new SecretMissing(
      what,
      path,
      codeOf(error) === "ENOENT" ? "there is no such file" : `it cannot be read (${codeOf(error)})`,
      { cause: error },
    );
  }
}

function checked(text: string, from: { readonly what: string; readonly place: string }): string {
  if (text === "") throw new SecretMissing(from.what, from.place, "it is empty");
  // oxlint-disable-next-line no-control-regex -- a control character in a secret is an accident of editing
  if (text.length > SECRET_BYTES_MAX || /[\u0000-\u001f\u007f]/.test(text)) {
    throw new SecretMissing(from.what, from.place, "it must be one line of at most 4096 characters");
  }
  return text;
}

/** Written beside and linked into place, so that of two nodes starting at once both read the same whole secret. */
async function makeShared(path: string, what: string): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  try {
    if (
      await stat(path).then(
        () => true,
        () => false,
      )
    ) {
      return;
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${randomBytes(24).toString("base64url")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw new SecretMissing(what, path, `it cannot be made (${codeOf(error)})`, { cause: error });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
