demo ci
