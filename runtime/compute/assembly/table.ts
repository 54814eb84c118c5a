// One table of a shard: rows of any size under 64-bit keys, one writer, any number of reading threads. Addresses are in bytes.
export { allocate, createTable } from "./table/layout";
export { bringRow, copyRecord, moveRecords, placesOf, spillFrames } from "./table/cold";
export { addRow, dropRow, openRow, repairRows, storeRow } from "./table/rows";
export { fetchRows, findLiveRows, findRows } from "./table/probe";
export { addRows, reserveRows } from "./table/add";
export { beginLoading, fileLoaded, loadRows } from "./table/load";
export { mergeRows, rowsToMerge } from "./table/merge";
export { collectAmong, collectRows, digestRows, glanceRows, packRows, readVersions } from "./table/scan";
export { gatherKeys, gatherRows, readRows, unevenRows } from "./table/gather";
export { stepRows } from "./table/learn";
