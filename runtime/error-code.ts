/** The `code` of an error of Node's (`ENOSPC`, `ERR_ACCESS_DENIED`), or undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
