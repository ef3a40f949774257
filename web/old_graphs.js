// Saved graphs of other packs hold the values of a node as a list, whose order changed with the versions of those packs. This
// brings each list into the one order that our hidden nodes have, before the graph is built. It looks at no other nodes.
import { app } from "../../scripts/app.js";

const CATEGORY = "AnimateDiff/other packs";
const SEEDS = ["seed", "noise_seed"]; // the front end adds a field after each: what becomes of the seed after a run
const AFTER_SEED = "control_after_generate";
const NO_FILE = "None";
const SOCKETS = { motion_model_settings: "ad_settings" }; // what inputs were called until 2024

// --- orders ----------------------------------------------------------------------------------------------------------

function isSwitch(value) {
  return typeof value === "boolean" || value === "Enabled" || value === "Disabled";
}

function isOn(value) {
  return value === true || value === "Enabled";
}

// A field that is connected was stored like the others until 2024, here a seed before the last switch.
function withSeed(values) {
  return isSwitch(values[4]) ? [...values.slice(0, 4), 0, ...values.slice(4)] : values;
}

// The same, for nodes whose first input is such a field: it goes, where the values after it show that it is there.
function withoutFirst(isNext) {
  return (values) => (isNext(values) ? values.slice(1) : values);
}

// [model_name, beta_schedule, motion_scale, apply_v2_models_properly]. For some days in 2023 there was one switch in their place: for
// the old normalisation.
function loaderWithContext(values) {
  const [name, betas, old] = values;
  return isSwitch(old) ? [name, betas, 1, !isOn(old)] : values;
}

// The first Combine nodes: [frame_rate, loop_count, save_image, filename_prefix, pingpong], the last not in all. They saved GIFs.
// Later ones: [frame_rate, loop_count, filename_prefix, format, pingpong, save_image], and those of ArtVentureX as they were before
// with the format before the last.
function combineOfEvolved(values) {
  if (!isSwitch(values[2])) return values;
  const [rate, loops, save, prefix, pingpong] = values;
  return [rate, loops, prefix, "image/gif", isOn(pingpong), isOn(save)];
}

function combineOfArtVentureX(values) {
  const [rate, loops, save, prefix, pingpong] = values;
  const isFirst = values.length === 4 || isSwitch(pingpong);
  return isFirst ? [rate, loops, isOn(save), prefix, "image/gif", isOn(pingpong)] : values;
}

// [pe_strength, attn_strength, other_strength, motion_pe_stretch, four numbers for positions, ...]; the first ones had no stretch.
function withStretch(values) {
  return values.length === 6 || values.length === 7 ? [...values.slice(0, 3), 0, ...values.slice(3)] : values;
}

// [min_base_multiplier, max_base_multiplier, uncond_multiplier]; the first ones had two switches before the last.
function withLocks(values) {
  return values.length > 2 && !isSwitch(values[2]) ? [...values.slice(0, 2), false, false, ...values.slice(2)] : values;
}

const ORDERS = {
  ADE_AnimateDiffSamplingSettings: withSeed,
  ADE_AnimateDiffLoaderWithContext: loaderWithContext,
  ADE_AnimateDiffModelSettings: withStretch,
  ADE_AnimateDiffCombine: combineOfEvolved,
  ADE_CustomCFGKeyframeFromList: withoutFirst((values) => isSwitch(values[3])),
  ADE_LoraHookKeyframeFromStrengthList: withoutFirst((values) => isSwitch(values[3])),
  ADMD_LoadLora: withoutFirst((values) => typeof values[0] === "string"),
  AnimateDiffCombine: combineOfArtVentureX,
  ACN_TimestepKeyframeFromStrengthList: withoutFirst((values) => isSwitch(values[4]) && !isSwitch(values[3])),
  LatentKeyframeBatchedGroup: withoutFirst((values) => typeof values[0] === "number"),
  ScaledSoftMaskedUniversalWeights: withLocks,
};

// FizzNodes: the fields of earlier versions, where they are not the first ones of a row. A list is known by its length and by where
// its only switch is, print_output. "_" is a value that had no effect. What is missing gets its default.
const WEIGHTS = "pw_a pw_b pw_c pw_d";
const AROUND = "pre_text app_text";
const LARGE = "width height crop_w crop_h target_width target_height text_g text_l";
const AROUND_LARGE = "pre_text_G app_text_G pre_text_L app_text_L";

const LAYOUTS = {
  BatchPromptSchedule: [
    `text max_frames ${AROUND} ${WEIGHTS}`,
    `text max_frames _ ${AROUND} ${WEIGHTS}`,
    `text max_frames print_output ${AROUND} ${WEIGHTS}`,
    `text max_frames print_output ${AROUND} start_frame ${WEIGHTS}`,
    "text max_frames print_output _",
    "text max_frames print_output start_frame end_frame",
  ],
  BatchPromptScheduleLatentInput: [
    `text ${AROUND} ${WEIGHTS}`,
    `text print_output ${AROUND} ${WEIGHTS}`,
    `text print_output ${AROUND} start_frame ${WEIGHTS}`,
    "text _",
    "text print_output _",
    "text print_output start_frame end_frame",
  ],
  PromptSchedule: [`text max_frames current_frame ${AROUND} ${WEIGHTS}`, "text max_frames print_output"],
  PromptScheduleNodeFlowEnd: [`max_frames current_frame ${AROUND} ${WEIGHTS}`],
  StringSchedule: [`text max_frames current_frame ${AROUND} ${WEIGHTS}`],
  BatchStringSchedule: [`text max_frames ${AROUND} ${WEIGHTS}`],
  ValueSchedule: ["text max_frames print_output"],
  PromptScheduleEncodeSDXL: [`${LARGE} max_frames current_frame ${AROUND_LARGE} ${WEIGHTS}`],
  BatchPromptScheduleEncodeSDXL: [
    `${LARGE} max_frames ${AROUND_LARGE} ${WEIGHTS}`,
    `${LARGE} max_frames print_output start_frame end_frame`,
  ],
  BatchPromptScheduleSDXLLatentInput: [
    `${LARGE} ${AROUND_LARGE} ${WEIGHTS}`,
    `${LARGE} print_output start_frame end_frame`,
  ],
};

// The names of a list of values, where it is one of an earlier version.
function earlierNames(values, layouts) {
  const onlySwitch = values.findIndex((value) => typeof value === "boolean");
  const named = layouts.map((layout) => layout.split(" "));
  return named.find((names) => names.length === values.length && names.indexOf("print_output") === onlySwitch);
}

function inOrder(values, fields, layouts) {
  const names = earlierNames(values, layouts);
  if (!names) return values;
  const known = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  return fields.map(({ name, options }) => known[name] ?? options?.default);
}

// --- values ----------------------------------------------------------------------------------------------------------

function definitionOf(type) {
  const definition = LiteGraph.registered_node_types[type]?.nodeData;
  return definition?.category === CATEGORY ? definition : undefined;
}

// The fields of a node in the order of its list of values: name, kind, and options of the host.
function fieldsOf(definition) {
  const fields = [];
  for (const group of ["required", "optional"]) {
    for (const name of definition.input_order?.[group] ?? []) {
      const [kind, options] = definition.input[group][name];
      if (!(kind in KINDS) || options?.forceInput) continue;
      fields.push({ name, kind, options });
      if (SEEDS.includes(name)) fields.push({ name: AFTER_SEED, kind: "STRING", options: { default: "fixed" } });
    }
  }
  return fields;
}

const KINDS = { INT: isNumber, FLOAT: isNumber, BOOLEAN: isNoText, STRING: isText, COMBO: isChoice };

function isNumber(value) {
  return typeof value === "number" || (typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)));
}

function isNoText(value) {
  return typeof value === "boolean" || typeof value === "number";
}

function isText(value) {
  return typeof value === "string";
}

function isChoice(value) {
  return isNumber(value) || (isText(value) && value !== "");
}

// A value that a field can have: texts of widgets that are gone, and nothing at all, become what a new node has. A list of files has
// no such value; the front end would choose the first file.
function fitting(value, { kind, options }) {
  if (!KINDS[kind](value)) return options?.default ?? NO_FILE;
  const isFile = kind === "COMBO" && options?.default === undefined && isText(value);
  return isFile ? (sameFile(value, options?.options ?? []) ?? value) : value;
}

// What a file is called here, where people keep it in another folder or with another extension: the rule of `same_file` in Python.
// The front end would say that it is missing.
function sameFile(name, files) {
  const whole = (file) => file.replaceAll("\\", "/");
  const base = (file) => whole(file).split("/").pop().toLowerCase();
  const stem = (file) => base(file).replace(/(.)\.[^.]*$/, "$1");
  if (files.includes(name)) return name;
  for (const alike of [whole, base, stem]) {
    const found = files.find((file) => alike(file) === alike(name));
    if (found !== undefined) return found;
  }
}

function ordered(type, stored, fields) {
  return LAYOUTS[type] ? inOrder(stored, fields, LAYOUTS[type]) : (ORDERS[type]?.(stored) ?? stored);
}

function normalised(node, definition) {
  const stored = node.widgets_values;
  if (!stored) return stored;
  const fields = fieldsOf(definition);
  const values = Array.isArray(stored) ? ordered(node.type, stored, fields) : fields.map(({ name }) => stored[name]);
  return values.slice(0, fields.length).map((value, i) => fitting(value, fields[i]));
}

function normalise(node) {
  const definition = definitionOf(node.type);
  if (!definition) return;
  node.widgets_values = normalised(node, definition);
  const isInput = (name) => name in { ...definition.input?.required, ...definition.input?.optional };
  for (const entry of node.inputs ?? []) {
    const name = SOCKETS[entry.name];
    if (name && isInput(name) && !isInput(entry.name)) entry.name = name;
  }
}

// A group node holds the values of its nodes in one list, one after another.
function normaliseGroup(node, groups) {
  const group = groups?.[/^workflow[>/](.*)$/.exec(node.type)?.[1]];
  const lengths = group?.nodes.map((inner) => inner.widgets_values?.length ?? 0) ?? [];
  if (!group || node.widgets_values?.length !== lengths.reduce((sum, length) => sum + length, 0)) return;
  let start = 0;
  const parts = lengths.map((length) => node.widgets_values.slice(start, (start += length)));
  node.widgets_values = group.nodes.flatMap(({ type }, i) => {
    const part = { type, widgets_values: parts[i] };
    normalise(part);
    return part.widgets_values;
  });
}

function* nodesOf(graph) {
  yield* graph.nodes ?? [];
  for (const inner of graph.definitions?.subgraphs ?? []) yield* nodesOf(inner);
  for (const group of Object.values(graph.extra?.groupNodes ?? {})) yield* group.nodes ?? [];
}

app.registerExtension({
  name: "AnimateDiffNative.OldGraphs",
  beforeConfigureGraph(graph) {
    const nodes = [...nodesOf(graph)];
    for (const node of nodes) normaliseGroup(node, graph.extra?.groupNodes);
    for (const node of nodes) normalise(node);
  },
});
