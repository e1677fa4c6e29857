# Makes the cluster's keys: one authority, a certificate and a kubeconfig per component.
set -euo pipefail
here="$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)"
# shellcheck source=test/kubernetes/sandbox/environment.sh
source "$here/environment.sh"
umask 077
cd -- "$pki"
# Only openssl's own libraries.
unset LD_LIBRARY_PATH
exec 2>"$dir/log/openssl.log"

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }
# certificate NAME SUBJECT [ALTERNATIVE NAMES]
certificate() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  {
    printf 'keyUsage=critical,digitalSignature,keyEncipherment\n'
    printf 'extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n'
    if [[ -n "${3:-}" ]]; then printf 'subjectAltName=%s\n' "$3"; fi
  } >"$1.extensions"
  openssl x509 -req -in "$1.csr" -CA authority.crt -CAkey authority.key -CAcreateserial -days 30 \
    -out "$1.crt" -extfile "$1.extensions"
}

key authority
openssl req -x509 -new -key authority.key -subj /CN=nodesys-test -days 30 -out authority.crt \
  -addext keyUsage=critical,keyCertSign,digitalSignature
certificate apiserver /CN=kube-apiserver \
  "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$node_ip,IP:10.96.0.1"
certificate admin /O=system:masters/CN=admin
certificate controllers /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
certificate kubelet /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:$node_ip"
key service-accounts
openssl pkey -in service-accounts.key -pubout -out service-accounts.pub

for name in admin controllers scheduler proxy kubelet; do
  cat >"$dir/$name.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: nodesys-test
    cluster: {server: "https://$api_ip:$api_port", certificate-authority-data: $(base64 -w0 authority.crt)}
users:
  - name: $name
    user: {client-certificate-data: $(base64 -w0 "$name.crt"), client-key-data: $(base64 -w0 "$name.key")}
contexts:
  - name: nodesys-test
    context: {cluster: nodesys-test, user: $name}
current-context: nodesys-test
YAML
done
