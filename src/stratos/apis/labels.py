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

# Annotations of nodes
WARMUP_COMPLETED = "stratos.sh/warmup-completed"  # when the machine had been prepared
LAST_STARTED = "stratos.sh/last-started"  # when it was last started from standby
SCALE_UP_STARTED = "stratos.sh/scale-up-started"  # the same, while the start is under way
SCALE_DOWN_CANDIDATE_SINCE = "stratos.sh/scale-down-candidate-since"  # since when it has been empty; on its claim too
CORDONED = "stratos.sh/cordoned"  # the cordon is Stratos' own; one without this is somebody else's, and stays

# Taints of nodes
NOT_READY_TAINT = "stratos.sh/not-ready"  # NoSchedule, while the network is not up
STANDBY_TAINT = "stratos.sh/standby"  # NoExecute, on standby machines, and on new nodes until they are looked after

# Conditions of nodes
IMAGES_PULLED_CONDITION = "stratos.sh/ImagesPulled"  # from the host: the images it was asked to pull are on its disk

# Annotations of pods
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"  # "true": leave the pod's node alone (others' word, understood here)

# Tags of machines
TAG_MANAGED_BY = "managed-by"  # stratos
MANAGED_BY = "stratos"
TAG_CLUSTER = "stratos.sh/cluster"  # which cluster's Stratos looks after it
TAG_POOL = "stratos.sh/pool"  # the NodePool it was launched for
TAG_CLAIM = "stratos.sh/claim"  # its NodeClaim: a machine whose claim is gone is terminated
TAG_STATE = "stratos.sh/state"  # as on the node, and warmup-failed for one that is given up
TAG_STATE_NOTE = "stratos.sh/state-note"  # why it was given up
TAG_CAPACITY_TYPE = "stratos.sh/capacity-type"  # on-demand or spot

# Finalizers
POOL_FINALIZER = "stratos.sh/nodepool-finalizer"  # keeps a NodePool until its last machine is gone
CLAIM_FINALIZER = "stratos.sh/nodeclaim-finalizer"  # keeps a NodeClaim until its machine is gone
CLASS_IN_USE_FINALIZER = "stratos.sh/in-use"  # keeps a node class until no NodePool uses it

# Kubernetes' own
HOSTNAME = "kubernetes.io/hostname"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
