"""The labels, annotations, taints and cloud tags that Stratos reads and writes, each defined once.

``docs/reference/labels.md`` is made from the comments here.
"""

from __future__ import annotations

GROUP = "stratos.sh"

# Labels of nodes
POOL = "stratos.sh/pool"  # the node's NodePool; claims bear it too, and pods select their pool by it
TEMPLATE = "stratos.sh/template"  # the node's NodeTemplate; claims bear it too, and pods select their template by it
STATE = "stratos.sh/state"  # where the machine is in its life: warmup, standby, running, terminating
STATE_SINCE = "stratos.sh/state-since"  # when it entered that state, in unix seconds
INSTANCE_ID = "stratos.sh/instance-id"  # the machine, as the cloud calls it
CAPACITY_TYPE = "stratos.sh/capacity-type"  # on-demand or spot
SPOT_FALLBACK = "stratos.sh/spot-fallback"  # "true": an on-demand node that stands in for spot
PACKING = "stratos.sh/packing"  # how its template filled it: optimal, bin-packing (shared) or bin-selection (selected)
DEDICATED_GROUP = "stratos.sh/dedicated-group"  # the group of hosts of our own that the node is on

# Labels of templates' nodes that say what machine it is: what pods ask for by annotations is asked of these
INSTANCE_FAMILY = "stratos.sh/instance-family"  # c6a; characters that no label may have are underscores
CATALOG_TYPE = "stratos.sh/instance-type"  # its type as catalogs call it, with what is attached: n1-standard-8_2xT4
GPU_SKU = "stratos.sh/gpu-sku"  # l4, in lower case; nodes without GPUs lack it
GPU_COUNT = "stratos.sh/gpu-count"  # rounded up where it has a share of one; 0 without
PRICE = "stratos.sh/price-micro-usd-per-hour"  # what it was chosen for, in millionths of a US dollar

# Labels of nodes that others gave the same meaning: written beside ours, and pods may select by either
CREATED_BY = "node.elotl.co/created-by"  # luna: a template's node
CAST_TEMPLATE = "scheduling.cast.ai/node-template"  # as stratos.sh/template
CAST_SPOT = "scheduling.cast.ai/spot"  # "true": spot, or standing in for it
CAST_ON_DEMAND = "scheduling.cast.ai/on-demand"  # "true": on-demand
CAST_SPOT_FALLBACK = "scheduling.cast.ai/spot-fallback"  # as stratos.sh/spot-fallback
GPU_REPLICAS = "nvidia.com/gpu.replicas"  # how many pods share each GPU: the device plugin is to offer it so often

# Annotations of nodes
WARMUP_COMPLETED = "stratos.sh/warmup-completed"  # when the machine had been prepared
LAST_STARTED = "stratos.sh/last-started"  # when it was last started from standby
SCALE_UP_STARTED = "stratos.sh/scale-up-started"  # the same, while the start is under way
SCALE_DOWN_CANDIDATE_SINCE = "stratos.sh/scale-down-candidate-since"  # since when it has been empty; on its claim too
INTERRUPTION_PREDICTED = "stratos.sh/interruption-predicted"  # "true", by whoever foresees it: spot is to be taken back
SPOT_REPLACEMENT_STARTED = "stratos.sh/spot-replacement-started"  # since when a spot machine is got in its place
SPOT_REPLACING_NODE = "stratos.sh/spot-replacing-node"  # the node whose place a spot machine takes; on its claim too
INTERRUPTION = "stratos.sh/interruption"  # by its host: the kind and, after an @, when the machine goes down
CORDONED = "stratos.sh/cordoned"  # the cordon is Stratos' own; one without this is somebody else's, and stays

# Labels of nodes that do not serve, which Kubernetes' own controllers heed
EXCLUDE_DISRUPTION = "node.kubernetes.io/exclude-disruption"  # silent, it does not make its zone unhealthy
EXCLUDE_FROM_LOAD_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers"  # no traffic is sent there

# Taints of nodes
NOT_READY_TAINT = "stratos.sh/not-ready"  # NoSchedule, while the network is not up
STANDBY_TAINT = "stratos.sh/standby"  # NoExecute, on standby machines, and on new nodes until they are looked after
DISRUPTED_TAINT = "stratos.sh/disrupted"  # NoSchedule, on nodes that are about to go: their pods are being replaced

# Annotations of claims
UNNEEDED_SINCE = "stratos.sh/unneeded-since"  # since when its node has been empty, or below the threshold of use
NOT_DISRUPTED_BEFORE = "stratos.sh/not-disrupted-before"  # an attempt to move its pods was given up: the next is then

# Conditions of nodes
IMAGES_PULLED_CONDITION = "stratos.sh/ImagesPulled"  # from the host: the images it was asked to pull are on its disk

# Annotations of pods: what kind of machine they want. `node.elotl.co/instance-…` means the same
INSTANCE_FAMILY_INCLUSIONS = "stratos.sh/instance-family-inclusions"  # families, separated by commas: only these
INSTANCE_FAMILY_EXCLUSIONS = "stratos.sh/instance-family-exclusions"  # none of these
INSTANCE_TYPE_REGEXP = "stratos.sh/instance-type-regexp"  # types whose name this regular expression finds a match in
INSTANCE_GPU_SKUS = "stratos.sh/instance-gpu-skus"  # any of these GPUs
INSTANCE_MAX_GPUS = "stratos.sh/instance-max-gpus"  # GPUs of the machine, at most
INSTANCE_MAX_COST = "stratos.sh/instance-max-cost"  # US dollars per hour that the machine may cost
INSTANCE_OFFERINGS = "stratos.sh/instance-offerings"  # on-demand, spot or both, separated by commas

# Annotations of pods: whether they are Stratos' to serve
IGNORE = "stratos.sh/ignore"  # "true": no machine is got for the pod, whatever its labels say
LUNA_IGNORE = "pod.elotl.co/ignore"  # the same

# Scheduling gates of pods
COST_ESTIMATE_GATE = "nodecostestimate"  # tell the pod, by an event, which machine it would get and at what price

# Annotations of pods
DO_NOT_EVICT = "stratos.sh/do-not-evict"  # "true": the pod is not evicted to save money or to renew its node
LUNA_DO_NOT_EVICT = "pod.elotl.co/do-not-evict"  # the same
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"  # "true": leave the pod's node alone (others' word, understood here)
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"  # "false": as do-not-evict
REMOVAL_DISABLED = "autoscaling.cast.ai/removal-disabled"  # "true": as do-not-evict; on nodes, as a label, too

SCALE_DOWN_DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled"  # "true", on nodes: leave them alone
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"  # the lowest of all, on pods that are replaced first

# Annotations of workloads
SURGE = "stratos.sh/surge"  # 3+1: it asked for 3 replicas and has 1 more while one of its pods moves

# Annotations of Services: what the doorman is to do for them
DOORMAN_PREFIX = "doorman.stratos.sh/"
DOORMAN_HOST = "doorman.stratos.sh/host"  # the hosts it answers for, separated by commas; *.example.com, or * for any
DOORMAN_TARGET = "doorman.stratos.sh/target"  # Deployment/NAME or StatefulSet/NAME; else the Deployment named alike
DOORMAN_PORT = "doorman.stratos.sh/port"  # name or number of the Service's port that gets the requests; else the first
DOORMAN_IDLE_AFTER = "doorman.stratos.sh/idle-after"  # so long without a request, and it sleeps again; else 5m
DOORMAN_HOLD_TIMEOUT = "doorman.stratos.sh/hold-timeout"  # the longest that a request waits for a replica; else 30s
DOORMAN_MAX_HELD = "doorman.stratos.sh/max-held"  # the most requests that wait at a time; else 1000

# Annotations of Deployments and StatefulSets: what the doorman remembers of those it woke
DOORMAN_WOKEN_AT = "doorman.stratos.sh/woken-at"  # when it asked for replicas; without it, they are never taken away
DOORMAN_ACTIVE_AT = "doorman.stratos.sh/active-at"  # when a doorman last had a request for it, to within a minute
DOORMAN_CLOSING_AT = "doorman.stratos.sh/closing-at"  # when one proposed that it sleep; who has a request objects

# Tags of machines
TAG_MANAGED_BY = "managed-by"  # stratos
MANAGED_BY = "stratos"
TAG_CLUSTER = "stratos.sh/cluster"  # which cluster's Stratos looks after it
TAG_CLUSTER_UID = "stratos.sh/cluster-uid"  # that of its namespace kube-system: two clusters may bear one name
TAG_POOL = "stratos.sh/pool"  # the NodePool it was launched for
TAG_TEMPLATE = "stratos.sh/template"  # the NodeTemplate it was launched for
TAG_CLAIM = "stratos.sh/claim"  # its NodeClaim: a machine whose claim is gone is terminated
TAG_STATE = "stratos.sh/state"  # as on the node, and warmup-failed for one that is given up
TAG_STATE_NOTE = "stratos.sh/state-note"  # why it was given up
TAG_CAPACITY_TYPE = "stratos.sh/capacity-type"  # on-demand or spot
TAG_REPLACING_NODE = "stratos.sh/replacing-node"  # the node whose place a spot machine takes
TAG_LAUNCH_TOKEN = "stratos.sh/launch-token"  # on EC2: what it was launched for, which is done once
TAG_START_TOKEN = "stratos.sh/start-token"  # on EC2: what it was last started for, which is done once
TAG_START_LAUNCH_TIME = "stratos.sh/start-launch-time"  # on EC2: its launch time before that; another one: it started

# Finalizers
POOL_FINALIZER = "stratos.sh/nodepool-finalizer"  # keeps a NodePool until its last machine is gone
TEMPLATE_FINALIZER = "stratos.sh/nodetemplate-finalizer"  # keeps a NodeTemplate until its last machine is gone
CLAIM_FINALIZER = "stratos.sh/nodeclaim-finalizer"  # keeps a NodeClaim until its machine is gone
CLASS_IN_USE_FINALIZER = "stratos.sh/in-use"  # keeps a node class until no NodePool and no NodeTemplate uses it
INSTANCE_PROFILE_FINALIZER = "stratos.sh/instance-profile"  # keeps a node class until the profile of its role is gone

# Kubernetes' own
HOSTNAME = "kubernetes.io/hostname"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
