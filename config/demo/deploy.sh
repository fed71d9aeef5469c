#!/bin/sh
# deploy.sh backend|frontend|all ENVIRONMENT SHA: checks a commit out of the shop's repository into
# the environment's folder. A component is replaced in one rename, so nobody ever sees half of it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
what=$1 environment=$2 sha=$3
place=$here/environments/$environment

deploy_one() {
    component=$1
    fresh=$(mktemp -d "$place/.$component.XXXXXX")
    git -C "$here/shop" archive "$sha" "$component" | tar -x -C "$fresh"
    echo "$sha" >"$fresh/$component/REVISION"
    rm -rf "$place/$component.old"
    if [ -e "$place/$component" ]; then
        mv "$place/$component" "$place/$component.old"
    fi
    mv "$fresh/$component" "$place/$component"
    rm -rf "$fresh" "$place/$component.old"
    echo "$component in $environment is now $sha"
}

mkdir -p "$place"
case $what in
all) deploy_one backend && deploy_one frontend ;;
backend | frontend) deploy_one "$what" ;;
*) echo "deploy.sh: I know no component $what" >&2 && exit 2 ;;
esac
