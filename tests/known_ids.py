"""Ids of nodes and types of sockets of other packs, so that ours are ours alone. Facts, read from the packs themselves and from the
list of ComfyUI-Manager of March 2025, which has 15984 ids of 2031 packs: of those, the ones that hold a word of ours.
"""

PREFIXES = ("ADE_", "ACN_", "VHS_", "ADMD_", "IPAdapter")
"""How nearly every id begins of AnimateDiff-Evolved, Advanced-ControlNet, VideoHelperSuite, ADMotionDirector and IPAdapter_plus."""

_NEIGHBOURS = """
AD_MotionDirector_train; AD_MotionLoraLoader; AMT VFI; ATM VFI; AbsCosWave; AbsSinWave; AddLabel; AddNoiseToTrackPath;
AdditionalModelSelect; AnimateDiffCombile; AnimateDiffCombine; AnimateDiffInject; AnimateDiffLoader; AnimateDiffLoaderLegacy;
AnimateDiffLoaderV1; AnimateDiffLoader_v2; AnimateDiffLoraLoader; AnimateDiffModuleLoader; AnimateDiffMotionModuleLoader;
AnimateDiffSampler; AnimateDiffSlidingWindowOptions; AnimateDiffUnload; AnimatedDiffUnload; AppendInstanceDiffusionTracking;
AppendStringsToList; ApplyRifleXRoPE_HunuyanVideo; ApplyRifleXRoPE_WanVideo; AudioConcatenate; BBOXToBoundingBoxKJ; BOOLConstant;
BatchCLIPSeg; BatchCreativeInterpolation; BatchCropFromMask; BatchCropFromMaskAdvanced; BatchCropFromMaskAdvancedv2; BatchPromptSchedule;
BatchPromptSchedule(LatentInput); BatchPromptScheduleAdvanced; BatchPromptScheduleEncodeSDXL; BatchPromptScheduleLatentInput;
BatchPromptScheduleSDXL; BatchPromptScheduleSDXL(LatentInput); BatchPromptScheduleSDXLLatentInput; BatchStringSchedule; BatchUncrop;
BatchUncropAdvanced; BatchValueSchedule; BatchValueSchedule(LatentInput); BatchValueScheduleLatentInput; BboxToInt; BboxVisualize;
BlockifyMask; CAIN VFI; CFGZeroStarAndInit; CalculateFrameOffset; CalculateLatentInterpFrameNumber; CameraPoseVisualizer;
CheckpointLoaderForTraining; CheckpointLoaderKJ; CheckpointLoaderSimpleWithNoiseSelect; CheckpointPerturbWeights; ColorMatch; ColorMatchV2;
ColorToMask; CombinedNode; ConcatStringSingle; CondPassThrough; ConditioningMultiCombine; ConditioningSetMaskAndCombine;
ConditioningSetMaskAndCombine3; ConditioningSetMaskAndCombine4; ConditioningSetMaskAndCombine5; ConsolidateMasksKJ;
ContextWindowsVisualizerKJ; ControlNetLoaderAdvanced; CosWave; CreateAudioMask; CreateFadeMask; CreateFadeMaskAdvanced; CreateFluidMask;
CreateGradientFromCoords; CreateGradientMask; CreateInstanceDiffusionTracking; CreateMagicMask; CreateShapeImageOnPath;
CreateShapeJointOnPath; CreateShapeMask; CreateShapeMaskOnPath; CreateTextMask; CreateTextOnPath; CreateVoronoiMask; CrossFadeImages;
CrossFadeImagesMulti; CustomControlNetWeights; CustomControlNetWeightsFluxFromList; CustomSigmas; CustomT2IAdapterWeights; CutAndDragOnPath;
DecodeAndSaveVideo; DiTBlockLoraLoader; DiffControlNetLoaderAdvanced; DifferentialDiffusionAdvanced; DiffusersLoaderForTraining;
DiffusionModelLoaderKJ; DiffusionModelSelector; DownloadAndLoadCLIPSeg; DrawInstanceDiffusionTracking; DrawMaskOnImage;
DriverOffsetCoordinates; DropFramesByIndex; DummyLatentOut; DummyOut; ESAI VFI; EffnetEncode; EmptyLatentImageCustomPresets;
EmptyLatentImagePresets; EncodeVideoComponents; EndRecordCUDAMemoryHistory; FILM VFI; FLAVR VFI; FastPreview; FastPreviewBatch;
FilterZeroMasksAndCorrespondingImages; FizzFrame; FizzFrameConcatenate; FlipSigmasAdjusted; FloatConstant; FloatToMask; FloatToSigmas;
FluxBlockLoraLoader; FluxBlockLoraSelect; FluxBlockLoraString; GGUFLoaderKJ; GLIGENTextBoxApplyBatch; GLIGENTextBoxApplyBatchCoords; GMFSS
Fortuna VFI; GMFSS Fortuna VFI (Animation); GenerateNoise; GetImageRangeFromBatch; GetImageSizeAndCount; GetImagesFromBatchIndexed;
GetLatentRangeFromBatch; GetLatentSizeAndCount; GetLatentsFromBatchIndexed; GetMaskSize; GetMaskSizeAndCount; GetNodeGlobal;
GetPreviewOverrideFramesKJ; GetTrackRange; GradientToFloat; GrowMaskWithBlur; HDRPreviewKJ; HunyuanVideoBlockLoraSelect;
HunyuanVideoEncodeKeyframesToCond; IFRNet VFI; IFUnet VFI; INTConstant; IPAAdapterFaceIDBatch; Ideogram4OptimizationsKJ;
Ideogram4PromptBuilderKJ; Ideogram4PromptBuilderKJV2; ImageAddMulti; ImageAndMaskPreview; ImageBatchExtendWithOverlap; ImageBatchFilter;
ImageBatchFromValueSchedule; ImageBatchJoinWithTransition; ImageBatchMulti; ImageBatchRepeatInterleaving; ImageBatchTestPattern;
ImageConcanate; ImageConcatFromBatch; ImageConcatMulti; ImageCropByMask; ImageCropByMaskAndResize; ImageCropByMaskBatch; ImageGrabPIL;
ImageGridComposite2x2; ImageGridComposite3x3; ImageGridtoBatch; ImageMaskSyncCrop; ImageNoiseAugmentation; ImageNormalize_Neg1_To_1;
ImagePadForOutpaintMasked; ImagePadForOutpaintTargetSize; ImagePadKJ; ImagePass; ImagePrepForICLora; ImageResizeKJ; ImageResizeKJv2;
ImageSharpenKJ; ImageSizeAndBatchSize; ImageTensorList; ImageTransformByNormalizedAmplitude; ImageTransformKJ; ImageUncropByMask;
ImageUpscaleWithModelBatched; ImagesFromBatchSchedule; Init FizzFrame; InjectNoiseToLatent; InsertImageBatchByIndexes;
InsertImagesToBatchIndexed; InsertLatentToIndexed; InsightFaceLoader; InterpolateCoords; Intrinsic_lora_sampling; InvCosWave; InvSinWave;
IpaConfiguration; JoinStringMulti; JoinStrings; KSampler Gradually Adding More Denoise (efficient); Krea2PromptWeight;
LTX2AttentionTunerPatch; LTX2AudioLatentNormalizingSampling; LTX2BlockLoraSelect; LTX2LoraLoaderAdvanced;
LTX2MemoryEfficientSageAttentionPatch; LTX2SamplingPreviewOverride; LTX2_NAG; LTXVAddGuideMulti; LTXVAddGuidesFromBatch; LTXVAudioVideoMask;
LTXVChunkFeedForward; LTXVEnhanceAVideoKJ; LTXVImgToVideoInplaceKJ; LatentInpaintTTM; LatentKeyframe; LatentKeyframeBatchedGroup;
LatentKeyframeGroup; LatentKeyframeTiming; LazySwitchKJ; LeapfusionHunyuanI2VPatcher; Lerp; LinearBatchCreativeInterpolation;
LoadAndResizeImage; LoadICLightUnet; LoadImagesFromDirectory; LoadImagesFromFolderKJ; LoadResAdapterNormalization; LoadVideo;
LoadVideosFromFolder; LoraExtractKJ; LoraReduceRankKJ; M2M VFI; MOMO VFI; Make Interpolation State List; MarigoldVAELoader; MaskBatchMulti;
MaskGenerator; MaskOrImageToWeight; MergeImageChannels; MiniMaxChunkFeedForward; MiniMaxH3MemoryEfficientSageAttentionPatch;
MiniMaxH3TokenCounter; MiniMaxLowVRAMAttention; ModelMemoryUsageFactorOverride; ModelMemoryUseReportPatch; ModelPassThrough;
ModelPatchTorchSettings; ModelPreviewOverrideKJ; ModelSaveKJ; NABLA_AttentionKJ; NormalizeLatent; NormalizedAmplitudeToFloatList;
NormalizedAmplitudeToMask; OffsetMask; OffsetMaskByNormalizedAmplitude; PadImageBatchInterleaved; PatchCublasLinear; PatchFlashAttentionKJ;
PatchModelPatcherOrder; PatchTritonVAE; PathchSageAttentionKJ; PiDColorBiasCorrection; PlaySoundKJ; PlotCoordinates; PointsEditor; Practical
RIFE; PracticalRIFE_VFI; PrepImageForClipVision; PrepImageForInsightFace; PreviewAnimation; PreviewImageOrMask; PreviewLatentNoiseMask;
PromptSchedule; PromptScheduleEncodeSDXL; PromptScheduleNodeFlow; PromptScheduleNodeFlowEnd; PromptScheduleSDXL; RIFE VFI;
RandomImageFromBatch; ReferenceOnlySimple3; RemapImageRange; RemapMaskRange; RemoveAndInterpolateFrames; ReplaceAndInterpolateFrames;
ReplaceImagesInBatch; ResizeMask; ReverseImageBatch; RoundMask; STMFNet VFI; SV3D_BatchSchedule; SamplerSelfRefineVideo; SaveImageKJ;
SaveImageWithAlpha; SaveMotionDirectorLora; SaveStringKJ; SawtoothWave; ScaleBatchPromptSchedule; ScaledSoftControlLoraWeights;
ScaledSoftControlNetWeights; ScaledSoftMaskedUniversalWeights; ScaledSoftUniversalWeights; ScheduledCFGGuidance; ScreencapStream;
Screencap_mss; SeparateMasks; Sepconv VFI; SetNodeGlobal; SetShakkerLabsUnionControlNetType; ShuffleImageBatch; SigmasToFloat;
SimpleCalculatorKJ; SinWave; SingleStepSampling; SkipLayerGuidanceWanVideo; Sleep; SoftControlNetWeights; SoftT2IAdapterWeights;
SomethingToString; SoundReactive; SplineEditor; SplitBboxes; SplitImageChannels; SquareWave; StabilityAPI_SD3; StableZero123_BatchSchedule;
StartRecordCUDAMemoryHistory; StringConcatenate; StringConstant; StringConstantMultiline; StringSchedule; StringToFloatList;
StyleModelApplyAdvanced; Superprompt; TimerNodeKJ; TimestepKeyframe; TorchCompileControlNet; TorchCompileCosmosModel; TorchCompileLTXModel;
TorchCompileModelAdvanced; TorchCompileModelFluxAdvanced; TorchCompileModelFluxAdvancedV2; TorchCompileModelHyVideo;
TorchCompileModelQwenImage; TorchCompileModelWanVideo; TorchCompileModelWanVideoV2; TorchCompileVAE; TrainMotionDirectorLora;
TransitionImagesInBatch; TransitionImagesMulti; TriangleWave; VAEDecodeLoopKJ; VAELoaderKJ; VAEMergeKJ; VFI FloatToInt; VRAM_Debug;
ValidationModelSelect; ValidationSettings; ValueSchedule; VideoContinuationGenerator; VideoFrameExtractorAndMaskGenerator;
VisualizeCUDAMemoryHistory; VisualizeSigmasKJ; Wan21BlockLoraSelect; WanChunkFeedForward; WanImageToVideoSVIPro; WanInputFrameNumber;
WanVideoBlender; WanVideoEnhanceAVideoKJ; WanVideoMemoryEfficientSageAttentionPatch; WanVideoNAG; WanVideoTeaCacheKJ; WebcamCaptureCV2;
WeightScheduleConvert; WeightScheduleExtend; WidgetToString; convertKeyframeKeysToBatchKeys
"""
_ALIKE = """
> Mask Curves; AK_AnimatedDilationMaskLinear; AK_KeyframeScheduler; APS_LatentBatch; ARD Prompt Travel; AnimateAnyone; AnimateDiff Script;
Animate_X_Image; Animate_X_Image_Long; Animate_X_Image_v2; Animate_X_ReposeImage; Animate_X_ReposeImage_v2; AnimatedOffsetPadding; Animation
Builder (mtb); Animation Prompt JK; Animation Value JK; AnimationExtractor; AnimationZoom (comfyui_musev_evolved); Animation_RGB_Mask;
ApplyRefMotionNode; AstralAnimator; BMAB Context; Beat Curve [Dream]; BetaSamplingScheduler; BrushMotion; CR Keyframe List; CR Load
Animation Frames; CR Prompt List Keyframes; CR Simple Prompt List Keyframes; CSV Curve [Dream]; ChangeLatentBatchSize //Inspire;
CloseErrorWindowNode|SillyNode; CogVideoContextOptions; CompositeMotionBrush; CompositeMotionBrushWithoutModel; ConcatContextWindow; Context
To BasicPipe; Context To DetailerPipe; ContextModifier; ConvIR_MotionDeBlur; CreateContextWindow; Curve; DP Animation Calculator 10 Inputs;
DP Animation Calculator 5 Inputs; DP Clean Prompt Travel; DP Fast Slow Motion; DP Logo Animator; DP Prompt Travel Prompt;
DeforumHybridMotionNode; DepthflowMotionArc; DepthflowMotionCosine; DepthflowMotionExponential; DepthflowMotionLinear;
DepthflowMotionPresetCircle; DepthflowMotionPresetDolly; DepthflowMotionPresetHorizontal; DepthflowMotionPresetOrbital;
DepthflowMotionPresetVertical; DepthflowMotionPresetZoom; DepthflowMotionSetTarget; DepthflowMotionSine; DetailerForEachPipeForAnimateDiff;
DownloadAndLoadMimicMotionModel; DragNUWA Run MotionBrush; DynamicAnimatedWeightsHelper; EasyAnimateI2VSampler; EasyAnimateLoader;
EasyAnimateRun; EasyAnimateT2VSampler; EasyAnimateV2VSampler; EasyAnimateV5_I2VSampler; EasyAnimateV5_T2VSampler; EasyAnimateV5_V2VSampler;
EasyAnimate_TextBox; EasyHRFix_Context; Eden_RepeatLatentBatch; Embeddings Curve Editor; EmptyMotionData; ExtractKeyframes+;
FeatureToLatentKeyframe; FeatureToTimestepKeyframe; FlipStreamFileSelect_AnimateDiffModel; FlorencePromptTravelHelper;
HaiperKeyframeConditioning; HyVideoContextOptions; HyVideoEncodeKeyframes; ID_Animator; IG Motion Video Frame; IG Motion Video Search; IG
MotionPredictor; Image Motion [Dream]; ImageMagick Motion Blur; ImageMotionGuider; ImageMotionInfluance; ImageNoiseBeta; ImageToneCurve;
InstantCameraMotionBrush; InstantObjectMotionBrush; IntegerMotionController; JKBigContext; JKEasyDetailer_Context; JKEasyKSampler_Context;
JKLilContext; JN_MeowTtsAudioToContext; JN_MeowTtsLoadContext; JN_MeowTtsSaveContext; KeyframeApply; KeyframeBasedUpscalerV1;
KeyframeBlender; KeyframeInterpolationPart; KeyframePart; KfAddCurveToPGroup; KfAddCurveToPGroupx10; KfApplyCurveToCond; KfCurveConstant;
KfCurveDraw; KfCurveFromString; KfCurveFromYAML; KfCurveInverse; KfCurveToAcnLatentKeyframe; KfCurvesAdd; KfCurvesAddx10; KfCurvesDivide;
KfCurvesMultiply; KfCurvesMultiplyx10; KfCurvesSubtract; KfDebug_Curve; KfEvaluateCurveAtT; KfGetCurveFromPGroup; KfKeyframedCondition;
KfKeyframedConditionWithText; KfPGroupCurveAdd; KfPGroupCurveMultiply; KfSetCurveLabel; KfSetKeyframe; LatentBatch; LatentBatchSeedBehavior;
LatentBatchSplitter //Inspire; LatentBatch_channels; LatentBatch_channels_16; LatentTravel; LayerFilter: MotionBlur; LayerMask:
MaskMotionBlur; Linear Curve [Dream]; Load Motion Camera Preset; Load Motion Traj Preset; Load MotionBrush; Load MotionBrush From Optical
Flow; Load MotionBrush From Optical Flow Directory; Load MotionBrush From Optical Flow Without Model; Load MotionBrush From Tracking Points;
Load MotionBrush From Tracking Points Without Model; Load Motionctrl Checkpoint; Load Motionctrl-SVD Camera Preset; Load Motionctrl-SVD
Checkpoint; Load Prompt Travel file; Load3DAnimation; LoadEasyAnimateLora; LoadEasyAnimateModel; MI2V Flow Animator; MagicAnimate;
MagicAnimateModelLoader; MagicClothing_Animatediff; MaskToSEGS_for_AnimateDiff; MergeLatentBatches; MimicMotionDecode; MimicMotionGetPoses;
MimicMotionNode; MimicMotionSampler; Moore-AnimateAnyone Denoising Unet; Moore-AnimateAnyone Image Encoder; Moore-AnimateAnyone Pipeline
Loader; Moore-AnimateAnyone Pose Guider; Moore-AnimateAnyone Reference Unet; Moore-AnimateAnyone Simple; Moore-AnimateAnyone VAE; Motion
Vector Extractor; MotionBlending; MotionBlur; MotionBlurDepth; MotionCLIPTextEncode; MotionController; MotionDataVisualizer;
MotionDiffLoader; MotionDiffSimpleSampler; MotionFeatureNode; MotionLoraLoader; MotionPainter; MotionRefSettingsCustomNode;
MotionRefSettingsDefaultNode; Motionctrl Cond; Motionctrl Sample; Motionctrl Sample Simple; Motionctrl-SVD Sample Simple;
MyOllamaLoadContext; MyOllamaSaveContext; OllamaLoadContext; OllamaSaveContext; Preset Color Animations; Preview3DAnimation;
PromptTravelHelper; PromptTravelIndex; RGB Curve; RL_SequenceContext; RTXRemixEndContext; RTXRemixStartContext; RandomNoise; RandomNoise
//Inspire; RepeatLatentBatch; SEGSDetailerForAnimateDiff; SP_KoboldCppWithContext; SVD_Steps_MotionStrength_Seed_Zho;
SamplerStepSizeControlCFGPP; Save MotionBrush; Save Prompt Travel file; SaveAnimatedPNG; SaveAnimatedWEBP; Saw Curve [Dream]; Sine Curve
[Dream]; SlidingWindowGuidanceAdvanced; Smooth Event Curve [Dream]; SmplifyMotionData; SonarRandomNoise;
StableAnimatorDWPoseDetectorAlignedModels; StableAnimatorLoadFramesFromFolderNode; StableAnimatorModels; StableAnimatorNode;
StableAnimatorSkeletonNode; StreamingT2VLoaderAnimateDiff; StreamingT2VLoaderAnimateDiffModel;
StreamingT2VRunLongStepVidXTendPipelinePromptTravel; StreamingT2VRunShortStepAnimateDiff; TacoAnimatedLoader; TacoImg2ImgAnimatedLoader;
TacoImg2ImgAnimatedProcessor; Text With Context; Triangle Curve [Dream]; Triangle Event Curve [Dream]; TripoAnimateRetargetNode;
TripoAnimateRigNode; UniAnimateImage; UniAnimateImageLong; UniAnimateNode; VisualAnagramsAnimate; VizMotionBrush; WAV Curve [Dream];
WhisperToPromptTravel
"""
_SOCKETS = """
ACNAUTOSIZE; ADDITIONAL_MODELS; ADEAUTOSIZE; ADEWARN; ADMDPIPELINE; ADVANCED_IPA_SETTINGS; AD_BLOCK; AD_KEYFRAMES; AD_SETTINGS;
ANCESTRAL_OPTS; BASIC_PIPE; BBOX_DETECTOR; BBOX_MODEL; BETA_SCHEDULE; CAMERACTRL_POSES; CAMERA_MOTIONCTRL; CFG_EXTRAS; CLIPSEGMODEL;
CN_WEIGHTS_EXTRAS; COLOR_MATCH_FRAMES; CONTEXTREF_KEYFRAME; CONTEXTREF_MODE; CONTEXTREF_TUNE; CONTEXT_EXTRAS; CONTEXT_OPTIONS;
CONTROL_NET_WEIGHTS; CUSTOM_CFG; DETAILER_HOOK; DETAILER_PIPE; EDITORLINK; EISAI_MODEL; EMBEDS; FACE_EMBED; FACE_EMBEDS; FACE_IMAGE;
FIZZFRAME; FLOATS; GIF; IMAGE_INJECT; IMAGE_INJECT_OPTIONS; IMAGE_PATH; INDEXES; INSIGHTFACE; INTERPOLATION_STATES; INTS; IPADAPTER;
IPADAPTER_PARAMS; IPADAPTER_PIPE; ITERATION_OPTS; ITER_OPTS; KSAMPLER; KSAMPLER_ADVANCED; LATENT_KEYFRAME; LOADED_MM; LORAINFO; LORA_HOOK;
LORA_HOOK_KEYFRAMES; LORA_IDS; MASKS; MM_TIMESTEP_KF; MOTION_LORA; MOTION_LORA_STACK; MOTION_M; MOTION_MODELS; MOTION_MODEL_ADE;
MOTION_MODEL_SETTINGS; MOTION_MODULE; MULTIVAL; M_MODELS; NAIVEREUSE_KEYFRAME; NOISE_CALIBRATION; NOISE_LAYERS; NORMALIZED_AMPLITUDE;
OMCM_MOTIONCTRL; ONNX_DETECTOR; ONNX_MODEL; PER_BLOCK; PE_ADJUST; PIA_INPUT; PIPELINE; PK_HOOK; PLUS_INPUT; REGIONAL_PROMPTS;
SAMPLE_SETTINGS; SAM_MODEL; SCHEDULER_FUNC; SEGM_DETECTOR; SEGM_MODEL; SEGS; SEGS_HEADER; SEGS_PREPROCESSOR; SEG_ELT; SELECTEDBLOCKS;
SELECTEDDITBLOCKS; SIGMA_SCHEDULE; SLIDING_WINDOW_OPTS; SPARSE_METHOD; T2I_ADAPTER_WEIGHTS; TIMER; TIMESTEPS_COND; TIMESTEP_KEYFRAME;
TOKENIZER; TRACKING; TRANSFORMERS_CLASSIFIER; UPSCALER; UPSCALER_HOOK; VALIDATION_MODELS; VALIDATION_SETTINGS; VALUES_REPLACE; VHSPATH;
VHS_AUDIO; VHS_FILENAMES; VHS_METADATA; VHS_VIDEOINFO; VHS_VIDEO_INFO; VIEW_OPTS; WEIGHTS_STRATEGY; WEIGHT_ADJUST
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.replace("\n", " ").split(";"))


IDS = _names(_NEIGHBOURS) | _names(_ALIKE)
SOCKETS = _names(_SOCKETS)
"""Types that the packs named above made, without those of the host."""
