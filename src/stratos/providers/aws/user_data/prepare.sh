# From here on everything is the same for all machines; what differs was set above.
#
# cloud-init runs this once in a machine's life. On Amazon Linux 2023 the kubelet, and containerd with it, start only
# after cloud-init is done: so it goes on as a unit of its own, and cloud-init need not wait.
if [ "${1:-}" != prepare ]; then
  install -m 700 "$0" /usr/local/sbin/stratos-prepare
  exec systemd-run --unit=stratos-prepare /usr/local/sbin/stratos-prepare prepare
fi

within() { # seconds, then a command that may fail until they are over
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 1
  done
}

ask() { # method, path, type of content, body: as the kubelet, which may say what it likes of its own node
  curl --silent --show-error --fail --max-time 10 --cacert /etc/kubernetes/pki/ca.crt --request "$1" \
    --header "Authorization: Bearer $token" --header "Content-Type: $3" --data "$4" "$endpoint$2"
}

report() { # status, reason, message: the condition of the node that tells how its images are
  local answer token node now
  answer=$(aws eks get-token --cluster-name "$cluster" --region "$region" --output json) || return 1
  token=$(sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' <<<"$answer")
  answer=$(ask POST /apis/authentication.k8s.io/v1/selfsubjectreviews application/json \
    '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}') || return 1
  node=$(tr -d '\n' <<<"$answer" | sed -n 's/.*"username": *"system:node:\([^"]*\)".*/\1/p')
  [ -n "$node" ] || return 1
  now=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
  ask PATCH "/api/v1/nodes/$node/status" application/strategic-merge-patch+json \
    "{\"status\":{\"conditions\":[{\"type\":\"$condition\",\"status\":\"$1\",\"reason\":\"$2\",\"message\":\"$3\",\
\"lastHeartbeatTime\":\"$now\",\"lastTransitionTime\":\"$now\"}]}}" >/dev/null
}

pull() { # image: three attempts, the second after 2 seconds, the third after 4
  local image=$1 pause=2 login=() host
  if [[ $image == *.dkr.ecr.*.amazonaws.com* ]] && command -v aws >/dev/null; then
    host=${image#*.dkr.ecr.}
    login=(--user "AWS:$(aws ecr get-login-password --region "${host%%.*}")")
  fi
  for attempt in 1 2 3; do
    ctr --namespace k8s.io images pull --label io.cri-containerd.pinned=pinned "${login[@]}" "$image" && return 0
    [ "$attempt" -lt 3 ] && sleep "$pause"
    pause=$((pause * 2 < 30 ? pause * 2 : 30))
  done
  return 1
}

pull_images() {
  local failed=() image
  within 120 report Unknown Pulling "images are being pulled" &
  within 60 test -S "$containerd" || echo "containerd did not come up within 60 s"
  for image in "${images[@]}"; do pull "$image" || failed+=("$image"); done
  for image in "${images_to_try[@]}"; do pull "$image" || echo "not pulled: $image"; done
  wait
  if [ "${#failed[@]}" -eq 0 ]; then
    within 120 report True ImagesPulled "${#images[@]} images on disk"
  else
    within 120 report False PullFailed "not pulled: ${failed[*]}"
    return 1
  fi
}

power_off() { # once the kubelet is well, the disks are warm and the pods of DaemonSets have their images
  local disk
  within 300 curl --silent --fail --output /dev/null http://127.0.0.1:10248/healthz || return 1
  for disk in $(lsblk --nodeps --noheadings --paths --output NAME,TYPE | awk '$2 == "disk" { print $1 }'); do
    dd if="$disk" of=/dev/null bs=1M count=1 status=none
  done
  sleep 15
  within 300 no_pull_is_under_way
  sync
  systemctl poweroff
}

no_pull_is_under_way() {
  [ -z "$(ctr --namespace k8s.io content active | tail --lines=+2)" ]
}

if [ "$pulls" = yes ]; then
  pull_images || [ "$pull_policy" = BestEffort ] || exit 1
fi
if [ "$turns_off" = yes ]; then
  power_off
fi
