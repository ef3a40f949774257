// Shows what a node of this pack found (`ui.text` of its last run) in a read-only field on the node itself.
import { app } from "../../scripts/app.js";

const NODES = [
  "LoadMotionModule",
  "ApplyMotionLoRA",
  "ApplyDomainAdapter",
  "LoadSparseCtrl",
  "SparseCtrlApply",
  "AnimateDiffPromptTravel",
  "LoadTrainingClips",
  "CameraClips",
  "EncodeTrainingClips",
  "MeasureMotion",
  "EvaluateAnimation",
  "SaveTrainedLoRA",
  "SaveMotionModule",
];
const NAME = "found";
const TYPE = "animatediff_text"; // not "text": Nodes 2.0 draws that as an input of its own, which stays empty
const LINE_HEIGHT = 14;

function addField(node) {
  const element = document.createElement("textarea");
  element.readOnly = true;
  element.className = "comfy-multiline-input";
  element.style.opacity = 0.8;
  const widget = node.addDOMWidget(NAME, TYPE, element, {
    serialize: false, // not among the inputs of a prompt,
    getValue: () => element.value,
    setValue: (text) => (element.value = text),
    getMinHeight: () => 12 + LINE_HEIGHT * element.value.split("\n").length,
  });
  widget.serialize = false; // nor in the workflow file
  return widget;
}

function show(node, text) {
  const present = node.widgets?.find((widget) => widget.name === NAME);
  (present ?? addField(node)).value = text;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

app.registerExtension({
  name: "AnimateDiffNative.NodeText",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!NODES.includes(nodeData.name)) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      const text = output?.text?.join("\n");
      if (text) show(this, text);
    };
  },
});
