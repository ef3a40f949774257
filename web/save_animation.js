// Lets Save Animation play what it saved, whatever was saved before. The front end plays what is called animated as a video
// unless it is a WEBP, so the node calls a GIF a picture; and it keeps a player of videos when the next file is a picture.
import { app } from "../../scripts/app.js";

const NODE = "SaveAnimation";
const VIDEO = /\.mp4$/;
const MOVING_PICTURE = /\.gif$/;
const TALLEST = 360; // pixels that a node grows by itself for a picture
const WAIT = 100; // milliseconds between looks, whether the picture has come
const LOOKS = 50;

function fileOf(output) {
  return output?.images?.[0]?.filename ?? "";
}

// Take away the player, or the picture, of a file of the other kind.
function forgetOtherKind(node, isVideo) {
  for (const widget of [...(node.widgets ?? [])]) {
    if (widget.type === (isVideo ? "img" : "video")) node.removeWidget(widget);
  }
  if (isVideo) {
    node.imgs = undefined;
  } else if (node.previewMediaType === "video") {
    node.previewMediaType = undefined;
    node.videoContainer = undefined;
  }
}

function pictureOn(node) {
  return node.widgets?.find((widget) => widget.type === "img");
}

// A new node has no room for a picture. It grows once: after that it has the size that the user gives it.
async function makeRoom(node) {
  for (let look = 0; look < LOOKS && !pictureOn(node)?.computedHeight; look++) {
    await new Promise((done) => setTimeout(done, WAIT));
  }
  const picture = node.imgs?.[0];
  const height = pictureOn(node)?.computedHeight;
  if (!picture?.naturalWidth || !height) return;
  const wanted = Math.min(TALLEST, (node.size[0] * picture.naturalHeight) / picture.naturalWidth);
  if (wanted > height) node.setSize([node.size[0], node.size[1] + wanted - height]);
  node.setDirtyCanvas(true, true);
}

app.registerExtension({
  name: "AnimateDiffNative.SaveAnimation",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== NODE) return;
    const animated = new WeakMap();
    const grown = new WeakSet();
    Object.defineProperty(nodeType.prototype, "animatedImages", {
      configurable: true,
      get() {
        return animated.get(this) || MOVING_PICTURE.test(fileOf(this));
      },
      set(value) {
        animated.set(this, value);
      },
    });
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      const file = fileOf(output);
      if (file) forgetOtherKind(this, VIDEO.test(file));
      onExecuted?.apply(this, arguments);
      if (!file || VIDEO.test(file) || grown.has(this)) return;
      grown.add(this);
      makeRoom(this);
    };
  },
});
