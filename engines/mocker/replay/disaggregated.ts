export class DisaggregatedReplay { constructor(_a: any, _b: any) {} arrive(){} settleEvents(){return false} drive(){return false} }
