export { DecodeError } from "../../protocols/wire/decode-error.ts";
export { subjectOf } from "../../protocols/subjects.ts";
export { pause } from "../clean.ts";
